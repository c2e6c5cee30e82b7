"""What `moe-harness eval` refuses before any rank starts: with exit code 2, and leaving nothing behind."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_command import moe_harness
from evaluation_documents import evaluation_document
from tiny_models import make_tiny

from harness.cli.main import run
from harness.config.provenance import Resolved
from harness.evaluation.result_file import write_result
from harness.launch.run_inputs import resolved_document

type Change = Callable[[Path], object]
type Refused = Callable[..., list[str]]

SHARD = "release/__0_0.distcp"
RECORD = "release/moe-harness.json"
TRACKER = "latest_checkpointed_iteration.txt"


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Mixtral of 257 tokens as Hugging Face has it (hf) and as Megatron has it (ckpt)."""
    folder = tmp_path_factory.mktemp("converted")
    make_tiny("Mixtral", folder / "hf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTPUT_PATH", str(folder / "runs"))
        assert run(["convert", str(folder / "hf"), str(folder / "ckpt")]) == 0
    return folder


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a vocabulary of 600."""
    folder = tmp_path_factory.mktemp("wide")
    make_tiny("Mixtral", folder / "hf", changes={"vocab_size": 600})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTPUT_PATH", str(folder / "runs"))
        assert run(["convert", str(folder / "hf"), str(folder / "ckpt")]) == 0
    return folder / "ckpt"


@pytest.fixture
def here(converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the user is in, with a checkpoint `ckpt`; runs go into `runs`."""
    shutil.copytree(converted / "ckpt", tmp_path / "ckpt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTPUT_PATH", str(tmp_path / "runs"))
    return tmp_path


@pytest.fixture
def refused(here: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs `eval WORDS`, which must end with 2 and leave every folder as it was; returns the lines of errors."""

    def call(*words: object) -> list[str]:
        before = sorted(path for path in here.rglob("*"))
        capsys.readouterr()
        assert run(["eval", *map(str, words)]) == 2
        said = capsys.readouterr()
        assert "Traceback" not in said.err and said.out == ""
        assert sorted(path for path in here.rglob("*")) == before
        return [line.removeprefix("error: ") for line in said.err.splitlines() if line.startswith("error: ")]

    return call


@pytest.fixture
def accepted(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs `eval WORDS --dry-run`, which must print a script; returns what was noticed."""

    def call(*words: object) -> str:
        capsys.readouterr()
        assert run(["eval", *map(str, words), "--dry-run"]) == 0
        said = capsys.readouterr()
        assert said.out.startswith("#!/bin/bash\n")
        return said.err

    return call


def series(folder: Path, *steps: int, source: Path) -> Path:
    """A folder of checkpoints by step."""
    for step in steps:
        shutil.copytree(source / "release", folder / f"iter_{step:07d}")
    return folder


def remove(name: str) -> Change:
    """A file that is not there."""
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes) -> Change:
    """Another content for a file."""
    return lambda folder: (folder / name).write_bytes(content)


def cut(name: str, size_bytes: int) -> Change:
    """A file's first bytes."""
    return lambda folder: os.truncate(folder / name, size_bytes)


def zero(name: str) -> Change:
    """As many bytes as before, all of them 0."""
    return lambda folder: (folder / name).write_bytes(bytes((folder / name).stat().st_size))


def legacy(folder: Path) -> None:
    """A checkpoint of ranks' folders."""
    shutil.rmtree(folder / "release")
    (folder / "iter_0000005/mp_rank_00").mkdir(parents=True)
    (folder / "iter_0000005/mp_rank_00/model_optim_rng.pt").write_bytes(b"x")
    (folder / TRACKER).write_text("5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove(SHARD), f"ckpt/{SHARD}: No such file or directory, but .metadata lists it; copy the checkpoint again"),
        (cut(SHARD, 1000), f"ckpt/{SHARD}: has 1000 bytes, .metadata lists "),
        (zero(SHARD), f"ckpt/{SHARD}: begins with b'\\x00\\x00\\x00\\x00', no file of torch.save: it is damaged; copy"),
        (remove("release/metadata.json"), "ckpt/release: metadata.json missing: not a whole torch_dist checkpoint; "),
        (
            write("release/metadata.json", b'{"sharded_backend": "zarr"}'),
            "ckpt/release/metadata.json: the checkpoint's format is zarr; only torch_dist can be read: ",
        ),
        (write("release/.metadata", b"x"), "ckpt/release/.metadata: the pickle is damaged ("),
        (write(RECORD, b"{"), f"ckpt/{RECORD} is damaged ("),
        (write(TRACKER, b"last"), f"ckpt/{TRACKER}: 'last'; expected release or the number of an iteration; or name "),
        (write(TRACKER, b"70"), f"ckpt/iter_0000070: absent, though {TRACKER} beside it names it; copy the checkpoint"),
        (
            legacy,
            "ckpt/iter_0000005: a checkpoint in Megatron's legacy format; evaluations read torch_dist, so convert it "
            "first: moe-harness convert ckpt/iter_0000005 TARGET --to torch_dist",
        ),
        (
            lambda folder: shutil.rmtree(folder / "release"),
            "ckpt/release: absent, though latest_checkpointed_iteration.txt beside it names it; copy the checkpoint",
        ),
    ],
)
def test_a_checkpoint_that_is_not_whole(change: Change, message: str, here: Path, refused: Refused) -> None:
    change(here / "ckpt")
    (error,) = refused("ckpt")
    assert error.startswith(message)


def test_what_is_no_checkpoint(converted: Path, here: Path, refused: Refused) -> None:
    (here / "empty").mkdir()
    (here / "notes.txt").write_text("x")
    assert refused("empty", "notes.txt", "./none", "no-run", converted / "hf") == [
        f"empty: no Megatron checkpoint: neither {TRACKER} nor weights are in it; name the folder that --save wrote to",
        "notes.txt: is a file; give the folder that holds the checkpoint, or a training run's id",
        "./none: no such folder; give a checkpoint's folder, or the id of a training run",
        f"no-run: there are no runs in {here}/runs; OUTPUT_PATH names the folder that is searched",
        f"{converted}/hf: a Hugging Face checkpoint, and a Megatron one is needed; convert it: moe-harness convert "
        f"{converted}/hf TARGET",
    ]
    assert refused() == ["no checkpoint is named; give its folder, or the id of a training run (runs list shows them)"]


def test_a_run_that_saved_nothing(converted: Path, here: Path, refused: Refused) -> None:
    shutil.copytree(converted / "runs", here / "runs")
    (run_folder,) = (here / "runs").iterdir()
    assert refused("convert-ckpt") == [
        f"{run_folder.name}: this run (conversion) has saved no checkpoints; a training saves them every n steps with"
        " SAVE_INTERVAL=n"
    ]
    (error,) = refused("convert-ckpp")
    assert error.startswith("convert-ckpp: no such run in ") and run_folder.name in error


def test_steps(here: Path, refused: Refused) -> None:
    series(here / "saved", 50, 100, source=here / "ckpt")
    assert refused("saved", "--steps", "50,75,300") == ["saved: no checkpoint of step 75, 300; there are: 50, 100"]
    assert refused("ckpt", "--steps", "all") == [
        "ckpt: no checkpoints of steps in it (iter_NNNNNNN); leave --steps out, or name another"
    ]
    (error,) = refused("saved", "--steps", "1..5")
    assert error.endswith("'1..5' is no list of steps; allowed: all, or numbers such as 500,1000")


def test_a_series_of_two_networks(wide: Path, here: Path, refused: Refused) -> None:
    saved = series(here / "saved", 50, source=here / "ckpt")
    series(saved, 100, source=wide)
    differing = (
        "saved/iter_0000100: --make-vocab-size-divisible-by, --vocab-size differ from those of saved/iter_0000050; "
        "evaluate them apart, then compare the results"
    )
    assert refused("saved", "--steps", "all") == [differing]
    assert refused("saved/iter_0000050", "saved/iter_0000100") == [differing]


def test_a_checkpoint_that_is_named_twice_counts_once(here: Path, accepted: Callable[..., str]) -> None:
    accepted("ckpt")
    accepted("ckpt", here / "ckpt", "./ckpt/../ckpt", f"{here}/ckpt/release")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("TP=4", "--ngpu", "2"),
            "command line: TP=4 PP=1 EP=1 ETP=1 takes 4 ranks or a multiple of them, and there are 2 "
            "(NNODES=1 GPUS_PER_NODE=2); set NGPU=4, or another mapping",
        ),
        (("TP=2", "GPUS_PER_NODE=3"), "command line: TP=2 PP=1 EP=1 ETP=1 takes 2 ranks or a multiple of them, and "),
        (("PP=2", "EP=2", "NGPU=2"), "command line: TP=1 PP=2 EP=2 ETP=1 takes 4 ranks or a multiple of them, and"),
        (("EP=3",), "command line: EP=3 does not divide --num-experts 8; "),
        (("CP=2",), "command line: CP=2: context parallel is for training; leave it out"),
        (("NUM_LAYERS=8",), "command line: NUM_LAYERS=8: the checkpoint in ckpt/release needs NUM_LAYERS=4; leave it"),
        (("DENSE_LAYERS=1",), "command line: DENSE_LAYERS: the checkpoint in ckpt/release says which layers are dense"),
        (("VOCAB_SIZE=300",), "rule vocabulary: --vocab-size 300: the checkpoint in ckpt/release needs --vocab-size"),
        (("--", "--num-layers", "8"), "extra flags: --num-layers 8: the checkpoint in ckpt/release needs --num-layers"),
        (("--", "--no-such-flag"), "extra flags: unknown flag --no-such-flag; did you mean "),
        (("DATASET=mock",), "command line: DATASET: has no say in an evaluation, "),
        (("TPP=2",), "command line: unknown setting TPP; did you mean TP or PP or VPP?"),
        (("MODEL=DeepSeek-V9",), "MODEL=DeepSeek-V9: no such model; did you mean DeepSeek-V3 or "),
        (("SEQ_LEN=-5",), "command line: SEQ_LEN='-5' is not allowed; allowed here: a whole number from 1 to "),
        (("--what", "los,routing"), "--what los: no such part; did you mean loss or cost?"),
        (("--what", "tasks"), "no task is named; name tasks or groups of lm-eval: --tasks hellaswag,arc_easy"),
        (("--tasks",), "no task is named; name tasks or groups of lm-eval: --tasks hellaswag,arc_easy"),
        (("--val-data", "--limit", "5"), "--val-data names no file; give text files, token .npy shards or "),
        (("--limit", "nan"), "--limit nan: no number of documents; allowed: more than 0, below 1 a share"),
        (("SKIP_LM_EVAL=perhaps",), "SKIP_LM_EVAL=perhaps: neither yes nor no; allowed: 1, 0"),
        (
            ("--what", "tasks", "--tasks", "arc_easy", "SKIP_LM_EVAL=1"),
            "--what tasks with SKIP_LM_EVAL leaves nothing to measure; leave one of them out",
        ),
        (("--tasks", "x", "--include-path", "none"), "--include-path "),
        (("NGPU=two",), "Invalid value for '--ngpu': 'two' is not a valid integer range."),
        (("NGPU=-1",), "Invalid value for '--ngpu': -1 is not in the range x>=0."),
        (("SEED=x",), "Invalid value for '--seed': 'x' is not a valid integer."),
        (("--batch-size", "0"), "Invalid value for '--batch-size': 0 is neither auto nor a number of sequences"),
        (("--max-token", "5"), "No such option '--max-token'. "),
        (("TOKENIZER_MODEL=org/name",), "org/name: no such folder; give the folder of a downloaded tokenizer "),
    ],
)
def test_words_that_cannot_be(words: tuple[str, ...], message: str, refused: Refused) -> None:
    (error,) = refused("ckpt", *words)
    assert error.startswith(message)


@pytest.mark.slow  # lm-eval builds its index of all tasks
def test_unknown_tasks(refused: Refused) -> None:
    assert refused("ckpt", "--tasks", "helaswag,arc_esy", "mmlu") == [
        "--tasks: unknown task 'helaswag'; did you mean hellaswag or hellaswag_vi or hellaswag_uk?",
        "--tasks: unknown task 'arc_esy'; did you mean arc_easy or arc_es or arc_eu_easy?",
    ]


@pytest.mark.parametrize("said", ["MODEL=Mixtral-8x2B", "CONFIG_FILE={configs}/Mixtral-8x2B.yaml"])
def test_another_network_than_the_checkpoint_s(said: str, repository: Path, refused: Refused) -> None:
    """Each flag with its place in the file; the way out comes last."""
    word = said.format(configs=repository / "model_configs/benchmarking")
    first, *_, last = refused("ckpt", word)
    assert first == (
        "model_configs/benchmarking/Mixtral-8x2B.yaml:16: --num-layers 24: the checkpoint in ckpt/release needs "
        "--num-layers 4; write NUM_LAYERS=4"
    )
    assert last == f"ckpt/release says by itself what its network is: leave {word} out to evaluate it as it is"


def test_a_run_s_resolved_json_as_config_file(here: Path, refused: Refused, resolve: Callable[..., Resolved]) -> None:
    document = resolved_document(resolve("MODEL=Mixtral-8x2B"))
    (here / "resolved.json").write_text(json.dumps(document))
    (here / "other.json").write_text("{}")
    (here / "broken.yaml").write_text("a: [\n")
    first, *_, last = refused("ckpt", "--config-file", "resolved.json")
    assert ".yaml:" in first and "--hidden-size 128: the checkpoint in ckpt/release needs --hidden-size 64" in first
    assert "leave CONFIG_FILE=resolved.json out" in last
    assert refused("ckpt", "--config-file", "other.json") == [
        "other.json: not a resolved.json of moe-harness (argv: missing); give one, or a model YAML"
    ]
    assert refused("ckpt", "CONFIG_FILE=none.json") == [
        "none.json: cannot be read: No such file or directory; give a model YAML or a resolved.json"
    ]
    (error,) = refused("ckpt", "CONFIG_FILE=broken.yaml")
    assert error.startswith("broken.yaml:2: not valid YAML")


def test_the_byte_level_tokenizer_is_for_its_own_vocabulary(
    wide: Path, here: Path, refused: Refused, accepted: Callable[..., str]
) -> None:
    message = (
        "the byte-level tokenizer has 257 tokens, the model's vocabulary 600: set TOKENIZER_MODEL=FOLDER of the "
        "tokenizer that it was trained with"
    )
    assert refused(wide) == [message]
    assert refused(wide, "--what", "tasks", "--tasks", "arc_easy") == [message]
    np.save(here / "tokens.npy", np.arange(600, dtype=np.uint16))
    accepted(wide, "--val-data", "tokens.npy")
    accepted(wide, "--what", "speed,cost")


@pytest.mark.parametrize(("tokens", "said"), [(700, "has 700 tokens, the model's vocabulary 600"), (280, "has 280 ")])
def test_a_tokenizer_of_another_vocabulary(tokens: int, said: str, wide: Path, here: Path, refused: Refused) -> None:
    from tokenizers import Tokenizer, models

    folder = here / "tokenizer"
    folder.mkdir()
    vocabulary = {"<eos>": 0, **{f"w{number}": number for number in range(1, tokens)}}
    Tokenizer(models.WordLevel(vocabulary, unk_token="<eos>")).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<eos>"}')
    (error,) = refused(wide, f"TOKENIZER_MODEL={folder}")
    assert said in error and str(folder) in error and "tokenizer that" in error


def test_validation_files(here: Path, refused: Refused) -> None:
    (here / "empty.txt").touch()
    (here / "bad.txt").write_bytes(b"abc\xff")
    (here / "folder").mkdir()
    assert refused("ckpt", "--val-data", "empty.txt", "none.txt", "folder") == [
        f"{here}/empty.txt: is empty",
        f"{here}/none.txt: No such file or directory",
        f"{here}/folder: is a folder; name the files in it, e.g. {here}/folder/*.txt",
    ]
    assert refused("ckpt", "--val-data", "bad.txt") == [f"{here}/bad.txt: not UTF-8: byte 0xff at offset 3"]
    (here / "blank.jsonl").write_text("\n\n")
    assert refused("ckpt", "--val-data", "blank.jsonl") == [f"{here}/blank.jsonl: no document in it"]


def test_files_of_tokens(here: Path, refused: Refused) -> None:
    np.save(here / "floats.npy", np.zeros(100, np.float32))
    np.save(here / "one.npy", np.array([1], np.uint16))
    np.save(here / "beyond.npy", np.array([1, 2, 5000, 3], np.uint16))
    (here / "text.txt").write_text("some text")
    (here / "junk.npy").write_bytes(b"junk")
    (error,) = refused("ckpt", "--val-data", "floats.npy")
    assert error == (
        f"{here}/floats.npy: holds float32 of shape (100,); tokens are whole numbers (uint16 or uint32) in one "
        "dimension"
    )
    assert refused("ckpt", "--val-data", "one.npy") == [
        f"{here}/one.npy: too short, 1 tokens: at least 2 are needed, one to predict the other by"
    ]
    assert refused("ckpt", "--val-data", "beyond.npy") == [
        f"{here}/beyond.npy: token 2 (from 0) is 5000; the model's vocabulary allows 0 to 256: these are tokens of "
        "another tokenizer"
    ]
    (error,) = refused("ckpt", "--val-data", "one.npy", "text.txt")
    assert error.startswith("validation data are of one kind, these are read ")
    (error,) = refused("ckpt", "--val-data", "junk.npy")
    assert error.startswith(f"{here}/junk.npy: is no .npy")


def test_a_folder_of_results_that_cannot_be(here: Path, refused: Refused) -> None:
    (here / "file").touch()
    for name in ("file", "file/below"):
        assert refused("ckpt", f"OUTPUT_DIR={name}") == [
            f"OUTPUT_DIR={here}/{name}: {here}/file cannot be written to; give a folder that can"
        ]


def test_folders_of_others(here: Path, refused: Refused, request: pytest.FixtureRequest) -> None:
    """One whose results cannot be written beside it, one that cannot be looked into."""
    for folder in (here, *here.parents):
        if not folder.stat().st_mode & 0o005:  # pytest keeps its folders to itself
            folder.chmod(0o755)
    (here / "locked").mkdir()
    (here / "locked").chmod(0)
    request.getfixturevalue("as_nobody")
    assert refused("ckpt") == [f"OUTPUT_DIR={here}/ckpt/eval: {here}/ckpt cannot be written to; give a folder that can"]
    (error,) = refused("locked")
    assert error.startswith("locked: ") and "Permission denied" in error


def test_all_at_once(here: Path, refused: Refused) -> None:
    (here / "file").touch()
    words = ("TP=3", "--val-data", "none.txt", "--tasks", "x", "--include-path", "none", "--limit", "nan")
    errors = refused("ckpt", *words, "OUTPUT_DIR=file")
    found = ("--limit nan", f"{here}/none.txt", "--include-path", f"OUTPUT_DIR={here}/file", "command line: TP=3")
    for error, beginning in zip(errors, found, strict=False):
        assert error.startswith(beginning)


def test_environment_names_are_heard(
    here: Path, accepted: Callable[..., str], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NGPU", "SEED", "OUTPUT_DIR", "CONFIG_FILE", "SKIP_LM_EVAL"):
        monkeypatch.setenv(name, "")  # as good as unset
    monkeypatch.setenv("CHECKPOINT_DIR", str(here / "ckpt"))
    accepted()
    monkeypatch.setenv("SKIP_LM_EVAL", "1")
    assert "notice: --tasks are left out: SKIP_LM_EVAL" in accepted("--tasks", "no_such_task")
    monkeypatch.setenv("NGPU", "3")
    (error,) = refused("TP=2")
    assert "and there are 3" in error


def test_a_longer_window_than_positions_is_said(accepted: Callable[..., str]) -> None:
    said = accepted("ckpt", "--seq-len", "40000")
    assert "notice: 40000 tokens a window are more than the 32768 positions that the network is made for" in said


def test_comparisons_that_cannot_be(here: Path, refused: Refused) -> None:
    documents = [evaluation_document(step) for step in (1, 2)]
    documents[1]["evaluation"]["seq_len"] = 256
    names = [write_result(here, {**document, "eval_timestamp": "2026-01-01T00:00:00Z"}) for document in documents]
    errors = refused("compare", *names)
    assert any("sequence length (evaluation.seq_len): 256, not 128" in error for error in errors)
    (here / "newer.json").write_text(json.dumps({**documents[0], "schema_version": 99}))
    (here / "torn.json").write_text("{")
    newer, torn = refused("compare", names[0], "newer.json", "torn.json")
    assert newer.startswith("newer.json: schema_version 99 is newer than this moe-harness, which reads up to ")
    assert torn.startswith("torn.json: this result is damaged: not JSON")


def test_as_a_command_of_its_own(here: Path) -> None:
    """The same from a shell: the code, the words, no traceback."""
    (here / "a 'quoted' folder").mkdir()
    answer = moe_harness("eval", "a 'quoted' folder", "none", here=here)
    assert (answer.code, answer.out, len(answer.errors)) == (2, "", 2)
    assert "Traceback" not in answer.err and not (here / "runs").exists()
