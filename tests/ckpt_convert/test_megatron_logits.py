"""Converted checkpoints compute in real Megatron what transformers computes, under every mapping.

Every parameter is NaN before Megatron loads the checkpoint, at its default strictness: what is not filled would show.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from engine_jobs import Job, Ranks
from engine_models import ON_CPU
from numpy.typing import NDArray
from tiny_models import FAMILIES, VOCAB_SIZE, make_tiny
from tiny_reference import fixed_tokens, reference_logits, reference_mtp_hidden

from ckpt_convert.conversion import convert, open_folder, plan_conversion
from ckpt_convert.families.exact import Exact
from ckpt_convert.writing.progress import Silent
from harness.config.megatron_args import MegatronArgs
from harness.config.releases import Release

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4
TP2 = ("--tensor-model-parallel-size", "2", "--sequence-parallel")
PP2 = ("--pipeline-model-parallel-size", "2")
EP2 = ("--expert-model-parallel-size", "2")
ETP1 = ("--expert-tensor-parallel-size", "1")
GROUPED = ("--moe-grouped-gemm",)
MAPPINGS = {
    "one rank, sequential experts": (1, ()),
    "TP2": (2, (*TP2, *GROUPED)),
    "PP2": (2, (*PP2, *GROUPED)),
    "EP2": (2, (*EP2, *GROUPED)),
    "TP2·EP2": (2, (*TP2, *EP2, *ETP1, *GROUPED)),
    "PP2·EP2": (4, (*PP2, *EP2)),
}


LOADING, AT_ANY_STRICTNESS = "compute_logits", "compute_logits_at_any_strictness"
STRICTEST, LENIENT = (("--dist-ckpt-strictness", name) for name in ("raise_all", "log_unexpected"))
FIFTH_LAYER = ("--num-layers", "5", "--moe-layer-freq", "[0,1,1,1,1]")


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A tiny model's converted checkpoint, and what transformers computes with the model on `tokens`."""

    ranks: Ranks
    checkpoint: Path
    flags: tuple[str, ...]
    tokens: Path
    group_score: str
    logits: NDArray[np.float32]
    mtp_hidden: NDArray[np.float32] | None

    def run(self, out: Path, *argv: str, world_size: int = 1, group_score: str = "", task: str = LOADING) -> Job:
        """Load the checkpoint in Megatron and compute."""
        words = (str(self.tokens), str(out), *self.flags, *ON_CPU, "--load", str(self.checkpoint), *argv)
        environ = {"MOE_HARNESS_GROUP_SCORE": group_score or self.group_score}
        return self.ranks.run(*words, world_size=world_size, task=task, environ=environ)


@pytest.fixture(scope="module", params=FAMILIES)
def converted(request: pytest.FixtureRequest, ranks: Ranks, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """Each family's tiny model."""
    return make_converted(request.param, ranks, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def v3(ranks: Ranks, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """DeepSeek-V3 alone."""
    return make_converted("DeepSeek-V3", ranks, tmp_path_factory.mktemp("v3"))


def make_converted(family: str, ranks: Ranks, folder: Path, exact: Exact | None = None) -> Converted:
    """Make a model, convert it and let transformers compute with it."""
    source = make_tiny(family, folder / "hf")
    conversion = plan_conversion(open_folder(source), to=None, dtype=None, exact=exact)
    convert(conversion, folder / "megatron", resume=False, threads=2, progress=Silent())
    tokens = fixed_tokens(VOCAB_SIZE)
    np.save(folder / "tokens.npy", tokens)
    record = json.loads((folder / "megatron/release/moe-harness.json").read_text())
    return Converted(
        ranks=ranks,
        checkpoint=folder / "megatron",
        flags=tuple(MegatronArgs(record["flags"]).argv()),
        tokens=folder / "tokens.npy",
        group_score="max" if family == "DeepSeek-V2" else "sum",
        logits=reference_logits(source, tokens),
        mtp_hidden=reference_mtp_hidden(source, tokens) if family == "DeepSeek-V3" else None,
    )


def computed(job: Job, out: Path) -> dict[str, NDArray[np.float32]]:
    """What a job computed; it must have succeeded."""
    assert set(job.exit_codes) == {0}, job.log[-6000:]
    with np.load(out) as arrays:
        return dict(arrays)


def said(job: Job) -> list[str]:
    """What the engine says of its own."""
    return [line for line in job.log.splitlines() if line.startswith("engine:")]


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_logits_equal_transformers(converted: Converted, tmp_path: Path, mapping: str) -> None:
    """And so do the hidden states of multi-token prediction, at every position with a token to follow."""
    world_size, argv = MAPPINGS[mapping]
    out = tmp_path / "out.npz"
    found = computed(converted.run(out, *argv, world_size=world_size), out)
    np.testing.assert_allclose(found["logits"], converted.logits, rtol=0, atol=TOLERANCE)
    assert ("mtp_hidden" in found) == (converted.mtp_hidden is not None)
    if converted.mtp_hidden is not None:
        np.testing.assert_allclose(found["mtp_hidden"][:, :, :-1], converted.mtp_hidden, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_exact_checkpoint_holds_nothing_else(ranks: Ranks, tmp_path: Path, family: str) -> None:
    """Megatron at its strictest: no name too many and none too few."""
    exact = make_converted(family, ranks, tmp_path, Exact(release=Release(0, 19), spec="local"))
    out = tmp_path / "out.npz"
    found = computed(exact.run(out, *EP2, *STRICTEST, world_size=2, task=AT_ANY_STRICTNESS), out)
    np.testing.assert_allclose(found["logits"], exact.logits, rtol=0, atol=TOLERANCE)


def test_the_universal_checkpoint_holds_more(converted: Converted, tmp_path: Path) -> None:
    """Names for every release: the strictest loading is not for it."""
    job = converted.run(tmp_path / "out.npz", *STRICTEST, task=AT_ANY_STRICTNESS)
    assert job.exit_codes == (2,)
    assert said(job)[0].startswith(f"engine: Megatron cannot load {converted.checkpoint}/release under these flags: ")


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--norm-epsilon", "1e-3"),
        ("--mscale-all-dim", "0"),
        ("--moe-router-topk-scaling-factor", "1"),
        ("--rotary-scaling-factor", "1"),
    ],
)
def test_a_wrong_flag_shows(v3: Converted, tmp_path: Path, flag: str, value: str) -> None:
    """The mistakes that the launch refuses, see tests/launch/test_stored_flags.py."""
    out = tmp_path / "out.npz"
    found = computed(v3.run(out, flag, value), out)
    assert np.abs(found["logits"] - v3.logits).max() > 20 * TOLERANCE


def test_groups_scored_by_their_sum_route_otherwise(ranks: Ranks, tmp_path: Path) -> None:
    """Megatron's own score, which DeepSeek-V2 does not have; GROUP_SCORE=max follows it in the tests above."""
    v2 = make_converted("DeepSeek-V2", ranks, tmp_path)
    out = tmp_path / "out.npz"
    found = computed(v2.run(out, group_score="sum"), out)
    assert np.abs(found["logits"] - v2.logits).max() > 0.1


@pytest.mark.parametrize("family", ["DeepSeek-V3", "Mixtral"])
def test_norms_are_found_under_transformer_engines_names(ranks: Ranks, tmp_path: Path, family: str) -> None:
    """Its layers fuse norms with the linear layers that follow, and save them by those."""
    fused = make_converted(family, ranks, tmp_path, Exact(release=Release(0, 19), spec="te"))
    out = tmp_path / "out.npz"
    found = computed(fused.run(out, *EP2, world_size=2), out)
    np.testing.assert_allclose(found["logits"], fused.logits, rtol=0, atol=TOLERANCE)


def test_what_is_not_filled_is_named(ranks: Ranks, tmp_path: Path) -> None:
    """Mixtral has no norms of queries and keys, and at this strictness Megatron goes on without them."""
    mixtral = make_converted("Mixtral", ranks, tmp_path)
    job = mixtral.run(tmp_path / "out.npz", "--qk-layernorm", *LENIENT, task=AT_ANY_STRICTNESS)
    assert job.exit_codes == (2,)
    ending = " was not filled: the checkpoint does not have it under these flags"
    named = {line.removesuffix(ending).split()[-1] for line in said(job)}
    norms = ("q_layernorm", "k_layernorm")
    assert named == {f"decoder.layers.{n}.self_attention.{norm}.weight" for n in range(4) for norm in norms}
    assert not (tmp_path / "out.npz").exists()


def test_a_missing_tensor_stops_the_load(v3: Converted, tmp_path: Path) -> None:
    """Megatron's message, without the list of all that is there."""
    job = v3.run(tmp_path / "out.npz", *FIFTH_LAYER)
    assert job.exit_codes == (2,)
    assert said(job) == [
        f"engine: Megatron cannot load {v3.checkpoint}/release under these flags: "
        "decoder.layers.4.input_layernorm.weight from model not in state dict"
    ]
