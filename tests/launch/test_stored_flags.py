"""A job's flags beside those of the checkpoint that it loads."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from ckpt_convert.families.model import model_of_config
from harness.config.megatron_args import ArgValue
from harness.config.provenance import Resolved
from harness.config.releases import Release, known
from harness.launch.executor import Executor
from harness.launch.loaded_checkpoint import checkpoint_notices, checkpoint_problems
from harness.training.job import training_job

PUBLISHED = Path(__file__).parent.parent / "fixtures/hf_configs"

type Resolve = Callable[..., Resolved]


def stored(model: str) -> dict[str, ArgValue]:
    """What the converter stores for a published model."""
    return dict(model_of_config(json.loads((PUBLISHED / f"{model}.json").read_text()), "config.json").flags)


V3 = {**stored("DeepSeek-V3"), "--norm-epsilon": "1e-06"}
LITE = stored("DeepSeek-V2-Lite")
FULL = ("MODEL=DeepSeek-V3", "PROXY=none", "DATASET=mock", "GPUS_PER_NODE=2")
GROUPS = {"name": "group-score", "text": "set GROUP_SCORE=max", "releases": ["0.18", "0.19"]}
NO_Q_NORM = {"name": "unnormed-query", "text": "0.19 cannot load it", "releases": ["0.19"]}


def record(family: str, flags: Mapping[str, ArgValue], limits: Sequence[object] = ()) -> dict[str, object]:
    """What the converter writes beside the weights, but for the source's config."""
    model = {"family": family, "architecture": "ForCausalLM", "dtype": "BF16", "config": {}}
    return {"format_version": 1, **model, "flags": flags, "limits": limits}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Makes a checkpoint's folder with a record, and nothing else in it."""

    def make(
        flags: Mapping[str, ArgValue], limits: Sequence[object] = (), tracker: str = "release", **more: object
    ) -> Path:
        folder = tmp_path / "ckpt" / (tracker if tracker == "release" else f"iter_{int(tracker):07d}")
        folder.mkdir(parents=True)
        (folder.parent / "latest_checkpointed_iteration.txt").write_text(f"{tracker}\n")
        (folder / "moe-harness.json").write_text(json.dumps(record("DeepSeek-V3", flags, limits) | more))
        return folder.parent

    return make


def problems(resolved: Resolved, place: Executor = "local") -> list[str]:
    return checkpoint_problems(resolved, training_job(resolved, place))


def notices(resolved: Resolved, place: Executor = "local") -> list[str]:
    return checkpoint_notices(resolved, training_job(resolved, place))


@pytest.mark.parametrize("release", known(), ids=str)
@pytest.mark.parametrize("model", sorted(path.stem for path in PUBLISHED.glob("*.json")))
def test_the_shipped_models_fit_what_the_converter_stores(
    resolve: Resolve, checkpoint: Callable[..., Path], model: str, release: Release
) -> None:
    """In every release, whatever its flags are called and however numbers are spelt."""
    folder = checkpoint(stored(model))
    words = (f"MODEL={model}", *FULL[1:], "PRETRAIN=0", f"LOAD_PATH={folder}", f"MCORE_RELEASE_VERSION={release}")
    resolved = resolve(*words, "MEGATRON_PATH=/m")
    assert resolved.megatron_args.text("--load") == str(folder)
    assert problems(resolved) == []
    assert notices(resolved) == []


@pytest.mark.parametrize(("release", "refused"), [("0.11", True), ("0.12", True), ("0.13", False)])
def test_old_releases_want_the_moe_layers_as_a_list(
    resolve: Resolve, checkpoint: Callable[..., Path], release: str, refused: bool
) -> None:
    flags = stored("Mixtral-8x7B")
    words = ("MODEL=Mixtral-8x7B", *FULL[1:], f"LOAD_PATH={checkpoint(flags)}", f"MCORE_RELEASE_VERSION={release}")
    found = problems(resolve(*words, "MEGATRON_PATH=/m", extra=("--moe-layer-freq", "1")))
    assert [text.partition("write ")[2] for text in found] == [
        f"--moe-layer-freq '{flags['--moe-layer-freq']}'"
    ] * refused


@pytest.mark.parametrize(
    ("release", "rows", "refused"), [("0.11", 32000, True), ("0.11", 32768, False), ("0.12", 1, False)]
)
def test_release_0_11_wants_the_rows_that_it_pads_to(
    resolve: Resolve, checkpoint: Callable[..., Path], release: str, rows: int, refused: bool
) -> None:
    folder = checkpoint(stored("Mixtral-8x7B"), vocabulary_rows=rows)
    words = ("MODEL=Mixtral-8x7B", *FULL[1:], f"LOAD_PATH={folder}", f"MCORE_RELEASE_VERSION={release}")
    found = problems(resolve(*words, "MEGATRON_PATH=/m", extra=("--make-vocab-size-divisible-by", "2048")))
    expected = "pads the vocabulary to 32768 rows here, and loads no embedding of 32000"
    assert [expected in text and text.endswith("--exact --target-release 0.11 --tp 1") for text in found] == [
        True
    ] * refused


@pytest.mark.parametrize(
    ("model", "flag", "other"),
    [
        ("Mixtral-8x7B", "--kv-channels", "64"),
        ("Mixtral-8x7B", "--moe-ffn-hidden-size", "4096"),
        ("DeepSeek-V2-Lite", "--moe-router-topk-scaling-factor", "2.5"),
    ],
)
def test_what_follows_from_a_job_s_other_flags_need_not_be_written(
    configured: Callable[..., Resolved], checkpoint: Callable[..., Path], model: str, flag: str, other: str
) -> None:
    flags = stored(model)
    for needed, refused in ((flags, 0), ({**flags, flag: other}, 1)):
        folder = checkpoint(needed, tracker=str(refused))
        written = {name: value for name, value in flags.items() if name != flag} | {"--load": str(folder)}
        found = problems(configured(written, MCORE_RELEASE_VERSION="0.19", LOAD_PATH=str(folder)))
        assert [text.rpartition("write ")[2] for text in found] == [f"{flag} {other}"] * refused


def test_every_contradiction_with_its_place_and_its_fix(resolve: Resolve, checkpoint: Callable[..., Path]) -> None:
    folder = checkpoint({**V3, "--mscale": "0.707", "--rotary-base": "50000", "--moe-router-pre-softmax": True})
    extra = ("--norm-epsilon", "1e-5", "--add-qkv-bias", "--mscale-all-dim", "0")
    resolved = resolve(*FULL, "NUM_LAYERS=12", f"LOAD_PATH={folder}", extra=extra)
    yaml = resolved.origin("--mscale")
    base = resolved.origin("--rotary-base")
    layers = resolved.origin("--num-layers")
    needs = f"the checkpoint in {folder}/release needs"
    assert set(problems(resolved)) == {
        f"{layers}: --num-layers 12: {needs} --num-layers 61; write NUM_LAYERS=61",
        f"extra flags: --norm-epsilon 1e-5: {needs} --norm-epsilon 1e-06; write --norm-epsilon 1e-06",
        f"{base}: --rotary-base 10000: {needs} --rotary-base 50000; write --rotary-base 50000",
        f"{yaml}: --mscale 1.0: {needs} --mscale 0.707; write --mscale 0.707",
        f"extra flags: --mscale-all-dim 0: {needs} --mscale-all-dim 1.0; write --mscale-all-dim 1.0",
        f"command line: the job does not say so: {needs} --moe-router-pre-softmax; write --moe-router-pre-softmax",
        f"extra flags: --add-qkv-bias: the checkpoint in {folder}/release has nothing of the kind; leave it out",
    }


def test_dense_layers_are_compared_by_meaning(resolve: Resolve, checkpoint: Callable[..., Path]) -> None:
    folder = checkpoint({**V3, "--moe-layer-freq": "[" + ",".join("000" + "1" * 58) + "]"})
    assert problems(resolve(*FULL, f"LOAD_PATH={folder}")) == []
    (found,) = problems(resolve(*FULL, "DENSE_LAYERS=1", f"LOAD_PATH={folder}"))
    assert found.startswith(f"rule moe-layer-freq: --moe-layer-freq ([0]*1+[1]*60): the checkpoint in {folder}")


def test_padding_and_older_vocabularies_do_not_matter(resolve: Resolve, checkpoint: Callable[..., Path]) -> None:
    """NullTokenizer adds a token to --vocab-size up to 0.17; another vocabulary is refused everywhere."""
    folder = checkpoint({**V3, "--make-vocab-size-divisible-by": "1"})
    older = resolve(*FULL, f"LOAD_PATH={folder}", "MCORE_RELEASE_VERSION=0.17", "MEGATRON_PATH=/m")
    assert older.megatron_args.text("--vocab-size") == "129279"
    assert problems(older) == []
    (found,) = problems(resolve(*FULL, "VOCAB_SIZE=1000", f"LOAD_PATH={folder}"))
    assert found.endswith("needs --vocab-size 129280; write VOCAB_SIZE=129280")


def test_mtp_may_be_left_aside_but_not_made_up(resolve: Resolve, checkpoint: Callable[..., Path]) -> None:
    folder = checkpoint({flag: value for flag, value in V3.items() if flag != "--mtp-num-layers"})
    (found,) = problems(resolve(*FULL, f"LOAD_PATH={folder}"))
    assert "--mtp-num-layers 1: the checkpoint in" in found
    lite = checkpoint_of_step(folder, {**LITE, "--mtp-num-layers": "1"})
    resolved = resolve("MODEL=DeepSeek-V2-Lite", *FULL[1:], f"LOAD_PATH={lite}")
    assert problems(resolved) == []
    assert notices(resolved) == [
        f"{lite}/iter_0000007: its multi-token prediction is left aside, for the job has no --mtp-num-layers"
    ]


def checkpoint_of_step(beside: Path, flags: Mapping[str, ArgValue]) -> Path:
    """A checkpoint of step 7 in a folder of its own."""
    folder = beside.parent / "steps" / "iter_0000007"
    folder.mkdir(parents=True)
    (folder.parent / "latest_checkpointed_iteration.txt").write_text("7")
    (folder / "moe-harness.json").write_text(json.dumps(record("DeepSeek-V2", flags)))
    return folder.parent


def test_limits_are_told_where_they_hold(resolve: Resolve, checkpoint: Callable[..., Path]) -> None:
    folder = checkpoint(LITE, [GROUPS])
    words = ("MODEL=DeepSeek-V2-Lite", *FULL[1:], f"LOAD_PATH={folder}")
    assert notices(resolve(*words)) == [f"{folder}/release: set GROUP_SCORE=max"]
    assert notices(resolve(*words, "GROUP_SCORE=max")) == []
    assert notices(resolve(*words, "MCORE_RELEASE_VERSION=0.16", "MEGATRON_PATH=/m")) == []


def test_what_megatron_cannot_load_is_refused(resolve: Resolve, checkpoint: Callable[..., Path]) -> None:
    """V2-Lite on 0.19 with Transformer Engine; the embedded engine and 0.18 can."""
    folder = checkpoint(LITE, [NO_Q_NORM])
    words = ("MODEL=DeepSeek-V2-Lite", *FULL[1:], f"LOAD_PATH={folder}")
    refused = resolve(*words, "MEGATRON_PATH=/m")
    assert problems(refused) == [f"command line: {folder}/release: 0.19 cannot load it"]
    assert notices(refused) == []
    assert problems(resolve(*words)) == []
    assert problems(resolve(*words, "MEGATRON_PATH=/m", "MCORE_RELEASE_VERSION=0.18")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is damaged (JSONDecodeError"),
        ("[]", "is damaged (TypeError"),
        ('{"format_version": 1}', "is damaged (KeyError: 'family')"),
        ('{"format_version": 2}', "has format 2, this moe-harness knows 1; update it"),
    ],
)
def test_a_damaged_record(resolve: Resolve, checkpoint: Callable[..., Path], text: str, said: str) -> None:
    folder = checkpoint(V3)
    (folder / "release/moe-harness.json").write_text(text)
    resolved = resolve(*FULL, f"LOAD_PATH={folder}")
    (found,) = problems(resolved)
    assert found.startswith(f"command line: LOAD_PATH: {folder}/release/moe-harness.json {said}")
    assert notices(resolved) == []


def test_an_empty_tracker_would_load_nothing(resolve: Resolve, checkpoint: Callable[..., Path]) -> None:
    folder = checkpoint(V3)
    (folder / "latest_checkpointed_iteration.txt").write_text("")
    (found,) = problems(resolve(*FULL, f"LOAD_PATH={folder}"))
    assert found == (
        "command line: LOAD_PATH: latest_checkpointed_iteration.txt says '', so Megatron would load nothing; "
        "allowed: release, or a step"
    )


def test_without_a_record_there_is_nothing_to_say(resolve: Resolve, checkpoint: Callable[..., Path]) -> None:
    folder = checkpoint(V3)
    (folder / "release/moe-harness.json").unlink()
    for words in ((), (f"LOAD_PATH={folder}",), (f"LOAD_PATH={folder}", "PRETRAIN=1"), (f"LOAD_PATH={folder}/none",)):
        resolved = resolve(*FULL, *words)
        assert (problems(resolved), notices(resolved)) == ([], [])


def test_slurm_is_checked_where_this_machine_sees_the_checkpoint(
    resolve: Resolve, checkpoint: Callable[..., Path]
) -> None:
    seen = resolve(*FULL, "NUM_LAYERS=12", f"LOAD_PATH={checkpoint(V3)}")
    assert len(problems(seen, "slurm")) == 1
    unseen = resolve(*FULL, "LOAD_PATH=/scratch/of/the/cluster")
    assert problems(unseen, "slurm") == []
    assert notices(unseen, "slurm") == [
        "/scratch/of/the/cluster is not to be seen from here: whether the flags fit the checkpoint was not checked"
    ]
