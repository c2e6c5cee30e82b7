"""What is said of a checkpoint, a target or a word that cannot be; nothing that looks whole is left behind."""

import fcntl
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_command import Answer, moe_harness
from safetensors.torch import load_file, save_file
from tiny_models import make_tiny

from harness.cli.main import run

type Change = Callable[[Path], object]

FIRST, SECOND = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
INDEX, CONFIG = "model.safetensors.index.json", "config.json"
LATENT = "model.layers.0.self_attn.kv_b_proj.weight"


@pytest.fixture(autouse=True)
def _runs_in_a_folder_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT_PATH", str(tmp_path / "runs"))


@pytest.fixture(scope="module")
def mixtral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole Mixtral in two shards."""
    return make_tiny("Mixtral", tmp_path_factory.mktemp("mixtral") / "hf", dtype="bf16")


@pytest.fixture(scope="module")
def v3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole DeepSeek-V3 with a matrix in FP8 and its scales."""
    folder = make_tiny("DeepSeek-V3", tmp_path_factory.mktemp("v3") / "hf", dtype="bf16", shards=1)
    tensors = load_file(folder / "model.safetensors")
    tensors[LATENT] = tensors[LATENT].to(torch.float8_e4m3fn)
    tensors[f"{LATENT}_scale_inv"] = torch.ones(1, 1)
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def megatron(mixtral: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Mixtral as torch_dist."""
    target = tmp_path_factory.mktemp("megatron") / "mixtral"
    assert run(["convert", str(mixtral), str(target)]) == 0
    return target


def errors_of(words: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 2) -> list[str]:
    """The error lines of a command, which must end with this exit code."""
    capsys.readouterr()
    assert run(words) == code
    lines = capsys.readouterr().err.splitlines()
    return [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]


def matches(line: str, message: str) -> bool:
    """Whether the parts of a message, which … separates, are in the line in this order."""
    at = 0
    for part in message.split("…"):
        at = line.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def config(**changes: object) -> Change:
    """Set keys of config.json; `...` removes one."""

    def change(folder: Path) -> None:
        content = {**json.loads((folder / CONFIG).read_text()), **changes}
        (folder / CONFIG).write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))

    return change


def write(name: str, content: bytes) -> Change:
    """Another content for a file."""
    return lambda folder: (folder / name).write_bytes(content)


def cut(name: str, size_bytes: int) -> Change:
    """A file's first bytes, or without its last."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size_bytes])


def remove(name: str) -> Change:
    """A file that is not there."""
    return lambda folder: (folder / name).unlink()


def indexed(file: object) -> Change:
    """An index that names another file for the output table."""

    def change(folder: Path) -> None:
        content = json.loads((folder / INDEX).read_text())
        content["weight_map"]["lm_head.weight"] = file
        (folder / INDEX).write_text(json.dumps(content))

    return change


def header(line: Callable[[dict[str, Any]], object]) -> Change:
    """A change to the header's line of the first tensor in the first shard."""

    def change(folder: Path) -> None:
        raw = (folder / FIRST).read_bytes()
        (length,) = struct.unpack_from("<Q", raw)
        content = json.loads(raw[8 : 8 + length])
        line(next(entry for name, entry in content.items() if name != "__metadata__"))
        text = json.dumps(content).encode()
        (folder / FIRST).write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])

    return change


def tensors(**changes: torch.Tensor | None) -> Change:
    """All tensors in one file, some of them others, some left out; __ stands for a dot."""

    def change(folder: Path) -> None:
        found = {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}
        for name, tensor in changes.items():
            found.pop(name.replace("__", "."), None)
            if tensor is not None:
                found[name.replace("__", ".")] = tensor
        for path in folder.glob("*.safetensors*"):
            path.unlink()
        save_file(found, folder / "model.safetensors")

    return change


def pickled_only(folder: Path) -> None:
    """Weights as older models have them."""
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    (folder / "pytorch_model.bin").touch()


def to_nowhere(name: str) -> Change:
    """A link to a file that was removed from the cache."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to("../blobs/gone")

    return change


BAD_MIXTRAL: dict[str, tuple[Change, str]] = {
    "no config": (remove(CONFIG), "hf/config.json: no such file; it says what the model is"),
    "empty config": (write(CONFIG, b""), "hf/config.json: not JSON (…): the file is damaged"),
    "config is a list": (write(CONFIG, b"[]"), "hf/config.json: a JSON object is needed, found list"),
    "key twice": (write(CONFIG, b'{"a":1,"a":2}'), "hf/config.json: not JSON ('a' is there twice)"),
    "endless nesting": (write(CONFIG, b"[" * 200_000), "hf/config.json: not JSON (maximum recursion"),
    "pointer of git-lfs": (write(CONFIG, b"version https://git-lfs.github.com/spec/v1\n"), "run `git lfs pull`"),
    "misspelt architecture": (
        config(architectures=["MixtralForCausalML"]),
        "hf/config.json: architectures 'MixtralForCausalML' cannot be converted; did you mean MixtralForCausalLM",
    ),
    "foreign architecture": (config(architectures=["Foo"]), "known: DeepseekV2ForCausalLM, DeepseekV3ForCausalLM, "),
    "architecture is a list": (config(architectures=[["x"]]), "hf/config.json: architectures ['x'] cannot"),
    "no architecture": (config(architectures=..., model_type=...), "neither architectures nor model_type says"),
    "text for a number": (config(hidden_size="64"), "hidden_size is '64'; allowed: a whole number, 1 or more"),
    "negative": (config(num_hidden_layers=-1), "num_hidden_layers is -1; allowed: a whole number, 1 or more"),
    "truth for a number": (config(vocab_size=True), "vocab_size is True; allowed: a whole number"),
    "list for a number": (config(rope_theta=[1]), "rope_theta is [1]; allowed: a number above 0"),
    "not a number": (config(rms_norm_eps=float("nan")), "rms_norm_eps is nan; allowed: a number above 0"),
    "beyond any float": (config(rms_norm_eps=10**400), "rms_norm_eps is 1000…; allowed: a number above 0"),
    "countless layers": (config(num_hidden_layers=10**12), "num_hidden_layers is 1000000000000; allowed: a whole"),
    "countless experts": (config(num_local_experts=10**9), "num_local_experts is 1000000000; allowed: a whole number"),
    "missing number": (config(hidden_size=None), "hf/config.json: hidden_size is missing"),
    "text for an object": (config(rope_scaling="yarn"), "rope_scaling is 'yarn'; allowed: an object, or null"),
    "one expert a token": (config(num_experts_per_tok=1), "num_experts_per_tok is 1; …; allowed: 2 or more"),
    "half the rotary dimensions": (config(partial_rotary_factor=0.5), "partial_rotary_factor is 0.5; all rotary"),
    "sizes that do not fit": (config(vocab_size=256), "embed_tokens.weight has shape (257, 64); the config says (256,"),
    "absent shard": (remove(SECOND), f"hf/{SECOND}: no such file"),
    "link to nowhere": (to_nowhere(SECOND), f"hf/{SECOND}: links to ../blobs/gone, which is not there"),
    "index of a shard that never was": (indexed("model-3.safetensors"), "hf/model-3.safetensors: no such file"),
    "path traversal": (indexed("../hf/config.json"), "weight_map names '../hf/config.json'; only files of this folder"),
    "absolute path": (indexed("/etc/passwd"), f"hf/{INDEX}: weight_map names '/etc/passwd'; only files of this folder"),
    "number for a file": (indexed(5), f"hf/{INDEX}: weight_map names 5; only files of this folder"),
    "endless name": (indexed("x" * 300), f"hf/{INDEX}: weight_map names 'xxx…; only files of this folder"),
    "index without a table": (write(INDEX, b"{}"), f"hf/{INDEX}: has no weight_map"),
    "index of another revision": (indexed(SECOND), f"hf/{FIRST}: holds lm_head.weight, which {INDEX} does not say"),
    "empty shard": (write(FIRST, b""), f"hf/{FIRST}: 0 bytes are too few for a safetensors file"),
    "cut in the header": (cut(FIRST, 3000), f"hf/{FIRST}: says that its header has …; the file has 3000"),
    "cut in the data": (cut(FIRST, -1), f"hf/{FIRST}: holds … bytes of data, its header asks for …; 1 tensors are cut"),
    "a web page": (write(FIRST, b"<!DOCTYPE html>" * 9), f"hf/{FIRST}: says that its header has …not safetensors"),
    "zeros": (write(FIRST, bytes(99)), f"hf/{FIRST}: its header: not JSON"),
    "unknown type": (header(lambda line: line.update(dtype="Q7")), f"hf/{FIRST}: tensor …: dtype 'Q7' is not one of"),
    "negative shape": (header(lambda line: line.update(shape=[-1, 2])), "shape [-1, 2] is not a list of sizes"),
    "endless shape": (header(lambda line: line.update(shape=[10**30])), "hold … bytes, BF16 [1000000000…"),
    "offsets backwards": (
        header(lambda line: line.update(data_offsets=line["data_offsets"][::-1])),
        "data_offsets […] hold -",
    ),
    "overlap": (
        header(lambda line: line.update(data_offsets=[2 + end for end in line["data_offsets"]])),
        "begins at byte 2 of the data, with a hole after what ends at 0",
    ),
    "missing tensor": (tensors(lm_head__weight=None), "hf: lm_head.weight (257, 64) is missing"),
    "extra tensor": (tensors(foo=torch.zeros(3)), "hf: foo (3,) is no tensor of this model"),
    "turned tensor": (tensors(lm_head__weight=torch.zeros(64, 257)), "lm_head.weight has shape (64, 257); the config"),
    "a number for a tensor": (tensors(model__norm__weight=torch.zeros(())), "model.norm.weight has shape ()"),
    "tied, with an output table": (config(tie_word_embeddings=True), "lm_head.weight (257, 64) is there, but tie_word"),
    "pickles": (pickled_only, "hf: holds pickled weights (pytorch_model.bin), which can run code when they are read"),
}


@pytest.mark.parametrize("case", BAD_MIXTRAL)
def test_a_bad_source(
    case: str, mixtral: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said with the file's name, before anything is written."""
    change, message = BAD_MIXTRAL[case]
    shutil.copytree(mixtral, tmp_path / "hf")
    monkeypatch.chdir(tmp_path)
    change(tmp_path / "hf")
    errors = errors_of(["convert", "hf", "target"], capsys)
    assert any(matches(error, message) for error in errors), errors
    assert all(error.startswith("hf") for error in errors)
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


BAD_V3: dict[str, tuple[Change, str]] = {
    "no interleaving": (config(rope_interleave=None), "rope_interleave is None; Megatron's latent attention"),
    "scores as they are": (config(norm_topk_prob=None), "norm_topk_prob is None; Megatron normalises"),
    "no scaling factor": (config(routed_scaling_factor=...), "config.json: routed_scaling_factor is missing"),
    "one expert a token": (config(num_experts_per_tok=1), "num_experts_per_tok is 1; Megatron normalises"),
    "two original lengths": (
        config(original_max_position_embeddings=64),
        "original_max_position_embeddings is 64; …4096",
    ),
    "another quantisation": (config(quantization_config={"quant_method": "awq"}), "quant_method is 'awq'"),
    "no block": (config(quantization_config={"weight_block_size": [0, 1]}), "weight_block_size is [0, 1]; two sizes"),
    "smaller blocks": (
        config(quantization_config={"quant_method": "fp8", "weight_block_size": [64, 64]}),
        f"{LATENT}_scale_inv: F32 (1, 1) does not scale FP8 (112, 32): …needs F32 (2, 1)",
    ),
    "no scales": (
        tensors(**{f"{LATENT}_scale_inv".replace(".", "__"): None}),
        f"{LATENT} is FP8, but its scales {LATENT}_scale_inv are missing",
    ),
    "scales of a number": (
        tensors(**{f"{LATENT}_scale_inv".replace(".", "__"): torch.tensor(1.0)}),
        f"{LATENT}_scale_inv: F32 () does not scale FP8 (112, 32)",
    ),
    "scales of nothing": (tensors(foo__weight_scale_inv=torch.ones(1)), "foo.weight_scale_inv (1,) scales no FP8"),
}


@pytest.mark.parametrize("case", BAD_V3)
def test_a_bad_deepseek(
    case: str, v3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """FP8, and what would compute something else in Megatron."""
    change, message = BAD_V3[case]
    shutil.copytree(v3, tmp_path / "hf")
    monkeypatch.chdir(tmp_path)
    change(tmp_path / "hf")
    errors = errors_of(["convert", "hf", "target"], capsys)
    assert any(matches(error, message) for error in errors), errors
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


@pytest.mark.parametrize(
    ("name", "value", "words", "message"),
    [
        (LATENT, torch.full((112, 32), 0x7F, dtype=torch.uint8).view(torch.float8_e4m3fn), [], "FP8 code that is no"),
        (f"{LATENT}_scale_inv", torch.full((1, 1), float("nan")), [], "the scale of block (0, 0) is nan, not a finite"),
        ("lm_head.weight", torch.full((257, 64), 1e6), ["--dtype", "fp16"], "1e+06 in row 0 is beyond fp16"),
    ],
    ids=["NaN code", "NaN scale", "beyond fp16"],
)
def test_what_only_reading_the_weights_shows(
    name: str, value: torch.Tensor, words: list[str], message: str, v3: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The target never appears, and what was begun is known for an interrupted conversion."""
    shutil.copytree(v3, tmp_path / "hf")
    tensors(**{name.replace(".", "__"): value})(tmp_path / "hf")
    (error,) = errors_of(["convert", str(tmp_path / "hf"), str(tmp_path / "target"), *words], capsys)
    assert name in error
    assert message in error
    assert not (tmp_path / "target").exists()
    assert run(["convert", "inspect", str(tmp_path / "target")]) == 0
    assert "interrupted" in capsys.readouterr().out
    assert run(["convert", "inspect", str(tmp_path / "hf"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"]["dtypes"]


class Evil:
    """A pickle of it runs a command when something but a restricted unpickler loads it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.marker}'",)


def _evil_metadata(folder: Path, evil: Evil) -> None:
    (folder / "release/.metadata").write_bytes(pickle.dumps(evil))


def _evil_common(folder: Path, evil: Evil) -> None:
    torch.save({"args": evil}, folder / "release/common.pt")


def _evil_rank(folder: Path, evil: Evil) -> None:
    shutil.rmtree(folder / "release")
    (folder / "release/mp_rank_00").mkdir(parents=True)
    torch.save({"args": evil, "model": {}}, folder / "release/mp_rank_00/model_optim_rng.pt")


def _evil_chunk(folder: Path, evil: Evil) -> None:
    """The first chunk of the weights asks for another function of the same length."""
    path, wanted, asked = folder / "release/__0_0.distcp", b"ctorch._utils\n_rebuild_tensor_v2\n", b"cposix\nsystem\n"
    content = path.read_bytes()
    assert wanted in content
    path.write_bytes(content.replace(wanted, asked.ljust(len(wanted), b"0"), 1))


@pytest.mark.parametrize("plant", [_evil_metadata, _evil_common, _evil_rank, _evil_chunk])
def test_a_malicious_pickle_is_named_and_not_run(
    plant: Callable[[Path, Evil], None], megatron: Path, mixtral: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    marker, folder = tmp_path / "marker", str(tmp_path / "megatron")
    shutil.copytree(megatron, folder)
    (Path(folder) / "release/integrity.json").unlink()
    plant(Path(folder), Evil(marker))
    errors = errors_of(["convert", folder, str(tmp_path / "target")], capsys)
    assert matches(errors[0], "/release/…: the pickle asks for posix.system, …; nothing of it was executed.")
    for words in (["inspect", folder], ["verify", str(mixtral), folder], ["flags", folder]):
        run(["convert", *words])
    assert not marker.exists()
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("tracked", "message"),
    [
        ("", "empty; expected release or the number of an iteration; or name one of its folders: release"),
        ("../../etc", "'../../etc'; expected release or the number of an iteration"),
        ("7", "iter_0000007: absent, though latest_checkpointed_iteration.txt beside it names it"),
    ],
)
def test_a_bad_tracker(
    tracked: str, message: str, megatron: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(megatron, tmp_path / "megatron")
    (tmp_path / "megatron/latest_checkpointed_iteration.txt").write_text(tracked)
    (error,) = errors_of(["convert", str(tmp_path / "megatron"), str(tmp_path / "target")], capsys)
    assert message in error


@pytest.mark.parametrize("name", [".metadata", "metadata.json", "common.pt", "moe-harness.json"])
def test_a_file_of_megatron_that_is_empty(
    name: str, megatron: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Verify knows it by its hash, whatever a conversion needs of it."""
    shutil.copytree(megatron, tmp_path / "megatron")
    (tmp_path / "megatron/release" / name).write_bytes(b"")
    errors = errors_of(["convert", "verify", "source", str(tmp_path / "megatron")], capsys, code=1)
    assert any(f"release/{name}" in error and "changed" in error for error in errors)


@pytest.mark.parametrize("change", [{"format_version": 2}, {"format_version": "1"}, {"config": []}, {"config": None}])
def test_a_damaged_record(
    change: dict[str, object], megatron: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(megatron, tmp_path / "megatron")
    path = tmp_path / "megatron/release/moe-harness.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    (error,) = errors_of(["convert", str(tmp_path / "megatron"), str(tmp_path / "target")], capsys)
    assert error.startswith(f"{path} ")


@pytest.mark.parametrize("words", [["--target-release", "9.9"], ["--target-release", "x", "--exact"]])
def test_a_release_that_is_not(
    words: list[str], mixtral: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (error,) = errors_of(["convert", str(mixtral), str(tmp_path / "target"), *words], capsys)
    assert matches(error, f"Megatron release '{words[1]}': …; known: 0.11, ")
    assert not any(tmp_path.iterdir())


def test_a_limit_of_the_release_however_it_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(make_tiny("DeepSeek-V2-Lite", tmp_path / "hf"))
    for release, is_told in (("0.19", True), ("0.19.2", True), ("0.18", False)):
        capsys.readouterr()
        assert run(["convert", "--dry-run", folder, str(tmp_path / "target"), "--target-release", release]) == 0
        assert ("a norm of the query" in capsys.readouterr().err) == is_told


def _file(target: Path) -> None:
    target.touch()


def _folder(target: Path) -> None:
    (target / "inside").mkdir(parents=True)


@pytest.mark.parametrize("occupy", [_file, _folder])
def test_a_target_that_exists(
    occupy: Change, mixtral: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "target"
    occupy(target)
    (error,) = errors_of(["convert", str(mixtral), str(target)], capsys)
    assert error == f"{target} exists already: choose another target, or remove it to write it anew"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_the_source_and_what_holds_it_are_no_targets(
    mixtral: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(mixtral, tmp_path / "outer/hf")
    before = sorted(tmp_path.rglob("*"))
    for target in ("outer/hf", "outer"):
        (error,) = errors_of(["convert", str(tmp_path / "outer/hf"), str(tmp_path / target)], capsys)
        assert error.startswith(f"{tmp_path / target} exists already")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_second_converter(mixtral: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "target"
    (tmp_path / "target.partial").mkdir()
    with (tmp_path / "target.partial/lock").open("w") as lock:
        lock.write("process 7 on elsewhere")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        (error,) = errors_of(["convert", str(mixtral), str(target)], capsys)
    assert error.startswith(f"{target}: another converter is writing it (process 7 on elsewhere): wait for it or")


def test_a_place_without_room(mixtral: Path, tmp_path: Path) -> None:
    """The disk ends in the middle (here by a limit on files); then there is room, and nothing is done twice."""
    answer = _shell(f"ulimit -f 200; {sys.executable} -m harness convert '{mixtral}' target", tmp_path)
    assert answer.code == 2
    assert answer.errors[0].startswith("target.partial/content/release/__0_0.distcp: cannot be written: File too large")
    assert not (tmp_path / "target").exists()
    for more, message in (((), "go on with --resume"), (("--resume", "--dtype=fp32"), "with other options")):
        answer = moe_harness("convert", str(mixtral), "target", *more, here=tmp_path)
        assert answer.code == 2
        assert message in answer.errors[0]
    assert moe_harness("convert", str(mixtral), "target", "--resume", here=tmp_path).code == 0
    assert moe_harness("convert", "verify", str(mixtral), "target", here=tmp_path).code == 0


def _shell(words: str, here: Path) -> Answer:
    """A command line of bash."""
    done = subprocess.run(["bash", "-c", words], cwd=here, capture_output=True, text=True)
    return Answer(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.mark.parametrize("name", ["a 'b' \"c\"", "$(touch x)\n;", "ü", os.fsdecode(b"\xff\xfe")])
def test_a_weird_name(name: str, mixtral: Path, tmp_path: Path) -> None:
    shutil.copytree(mixtral, tmp_path / "hf" / name)
    assert moe_harness("convert", f"hf/{name}", f"to/{name}/", here=tmp_path).code == 0
    answer = moe_harness("convert", "verify", f"hf/{name}", f"to/{name}", here=tmp_path)
    assert answer.code == 0, answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hf", "runs", "to"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("release", "LOAD_PATH: …/release is the folder of one step; give the one above it, "),
        ("release/", "LOAD_PATH: …/release is the folder of one step; give the one above it, "),
        ("", "needs --hidden-size 64; write --hidden-size 64"),
        ("/../mixtral/", "needs --hidden-size 64; write --hidden-size 64"),
    ],
)
def test_where_a_job_loads_from(path: str, message: str, megatron: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However the folder is written, the flags of its weights count; the weights' own folder is none to load from."""
    errors = errors_of(["check", "MODEL=Mixtral-8x7B", f"LOAD_PATH={megatron}/{path}"], capsys)
    assert any(matches(error, message) for error in errors), errors


def test_a_job_does_not_load_from_hugging_face(mixtral: Path, capsys: pytest.CaptureFixture[str]) -> None:
    errors = errors_of(["check", "MODEL=Mixtral-8x7B", f"LOAD_PATH={mixtral}"], capsys)
    message = (
        f"LOAD_PATH: {mixtral} is a Hugging Face checkpoint; convert it first: moe-harness convert {mixtral} TARGET"
    )
    assert any(error.endswith(message) for error in errors), errors


def test_a_chunk_that_is_absent_or_cut_short(
    megatron: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(megatron, copy)
    chunk = copy / "release/__0_0.distcp"
    os.truncate(chunk, chunk.stat().st_size // 2)
    (short,) = errors_of(["convert", "--dry-run", str(copy), str(tmp_path / "t")], capsys)
    assert matches(short, f"{chunk}: … bytes, and .metadata says …: cut short; copy the checkpoint again")
    chunk.unlink()
    (absent,) = errors_of(["convert", "--dry-run", str(copy), str(tmp_path / "t")], capsys)
    assert absent == f"{chunk}: missing, though .metadata names it; copy the checkpoint again"


def test_a_partial_folder_of_someone_else_is_left_alone(
    mixtral: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "target.partial/content/theirs"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("precious")
    (error,) = errors_of(["convert", str(mixtral), str(tmp_path / "target"), "--resume"], capsys)
    assert matches(error, "target.partial is no interrupted conversion: …; remove it or choose another target")
    assert theirs.read_text() == "precious"
    assert [path.name for path in (tmp_path / "target.partial").iterdir()] == ["content"]


def test_a_target_that_is_a_link_or_this_very_folder(
    mixtral: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    (error,) = errors_of(["convert", str(mixtral), str(tmp_path / "link")], capsys)
    assert matches(error, "link… exists already")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert errors_of(["convert", str(mixtral), "."], capsys) == [".: name a new folder to write to"]
    assert run(["convert", "inspect", "."]) == 1


def test_a_tensor_of_no_weight_s_format(mixtral: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(mixtral, copy)
    tensors = load_file(copy / FIRST)
    save_file({**tensors, "model.layers.0.extra": torch.ones(2, dtype=torch.float64)}, copy / FIRST)
    index = json.loads((copy / INDEX).read_text())
    index["weight_map"]["model.layers.0.extra"] = FIRST
    (copy / INDEX).write_text(json.dumps(index))
    (error,) = errors_of(["convert", str(copy), str(tmp_path / "t")], capsys)
    assert matches(
        error, f"{copy}: model.layers.0.extra is F64; weights are BF16, F16, F32, F8_E4M3: save it in …, or remove it"
    )


def test_a_record_nested_too_deep(megatron: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(megatron, copy)
    (copy / "release/moe-harness.json").write_text("[" * 100_000)
    (error,) = errors_of(["convert", "flags", str(copy)], capsys)
    assert "moe-harness.json is damaged (RecursionError" in error
    job = ["check", "MODEL=Mixtral-8x7B", "PROXY=none", "DATASET=mock", "GPUS_PER_NODE=8", f"LOAD_PATH={copy}"]
    assert any("moe-harness.json is damaged" in error for error in errors_of(job, capsys))
