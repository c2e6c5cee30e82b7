"""Losses of tokens and choices of routers equal transformers', and one another under every mapping."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_jobs import Ranks
from engine_models import ON_CPU
from numpy.typing import NDArray
from routing_reference import ReferencePass, nll_of, reference_pass
from tiny_models import VOCAB_SIZE, make_tiny
from tiny_reference import load_reference, reference_mtp_hidden
from torch.nn.modules.module import register_module_forward_hook

from ckpt_convert.conversion import convert, open_folder, plan_conversion
from ckpt_convert.writing.progress import Silent
from harness.config.megatron_args import MegatronArgs

pytestmark = pytest.mark.slow

FAMILIES = ("DeepSeek-V3", "Mixtral", "Qwen2-MoE")
WINDOWS, LENGTH, LAST = 5, 21, 8
"""An odd number of windows of an odd length, the last of them shorter."""
BATCH_SIZES = ("2", "4")
TP2 = ("--tensor-model-parallel-size", "2")
PP2 = ("--pipeline-model-parallel-size", "2")
EP2 = ("--expert-model-parallel-size", "2")
ETP1 = ("--expert-tensor-parallel-size", "1")
GROUPED = ("--moe-grouped-gemm",)
MAPPINGS = {
    "one rank, sequential experts": (1, ()),
    "TP2": (2, (*TP2, "--sequence-parallel", *GROUPED)),
    "PP2": (2, (*PP2, *GROUPED)),
    "EP2": (2, (*EP2, *GROUPED)),
    "TP2·EP2": (2, (*TP2, *EP2, *ETP1, *GROUPED)),
    "PP2·EP2": (4, (*PP2, *EP2, *GROUPED)),
    "DP2": (2, GROUPED),
    "DP4": (4, GROUPED),
    "TP2·ETP2·DP2": (4, (*TP2, *GROUPED)),
}
TOLERANCE = 1e-4
CLEAR = 1e-5
"""Below this margin rounding may choose another expert."""


@dataclass(frozen=True, kw_only=True)
class FurtherTokens:
    """Of a first predicting layer: losses of the token after the next [b, s - 1], and experts [b, s - 1, k]."""

    nll: NDArray[np.float32]
    experts: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """A converted tiny model, windows of tokens, and what transformers makes of them."""

    ranks: Ranks
    family: str
    folder: Path
    flags: tuple[str, ...]
    tokens: NDArray[np.int32]
    real: NDArray[np.bool_]
    expected: ReferencePass
    further: FurtherTokens | None

    def measure(self, out: Path, world_size: int, *mapping: str) -> dict[str, NDArray[np.float32]]:
        """Measure the windows under a mapping, in batches of each size."""
        words = (str(self.folder / "windows.npz"), str(out), ",".join(BATCH_SIZES), *self.flags, *ON_CPU)
        load = ("--load", str(self.folder / "megatron"))
        job = self.ranks.run(*words, *load, *mapping, world_size=world_size, task="measure_windows")
        assert set(job.exit_codes) == {0}, job.log[-6000:]
        with np.load(out) as arrays:
            return dict(arrays)


@pytest.fixture(scope="module", params=FAMILIES)
def evaluated(request: pytest.FixtureRequest, ranks: Ranks, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """Each family's tiny model."""
    folder = tmp_path_factory.mktemp(request.param)
    source = make_tiny(request.param, folder / "hf")
    conversion = plan_conversion(open_folder(source), to=None, dtype=None, exact=None)
    convert(conversion, folder / "megatron", resume=False, threads=2, progress=Silent())
    lengths = np.array([LENGTH] * (WINDOWS - 1) + [LAST])
    real = np.arange(LENGTH) < lengths[:, None]
    tokens = np.random.default_rng(3).integers(0, VOCAB_SIZE, (WINDOWS, LENGTH + 1)).astype(np.int32)
    tokens[:, 1:][~real] = 0
    np.savez(folder / "windows.npz", tokens=tokens, lengths=lengths)
    record = json.loads((folder / "megatron/release/moe-harness.json").read_text())
    return Evaluated(
        ranks=ranks,
        family=request.param,
        folder=folder,
        flags=tuple(MegatronArgs(record["flags"]).argv()),
        tokens=tokens,
        real=real,
        expected=reference_pass(source, tokens),
        further=further_tokens(source, tokens) if request.param == "DeepSeek-V3" else None,
    )


@torch.no_grad()
def further_tokens(source: Path, tokens: NDArray[np.int32]) -> FurtherTokens:
    """What transformers' predicting layer makes of windows; its router is the last one that is called."""
    words = torch.from_numpy(tokens.astype(np.int64))
    chosen: list[torch.Tensor] = []

    def hear(module: torch.nn.Module, _inputs: Any, out: Any) -> None:
        if type(module).__name__ == "DeepseekV3TopkRouter":
            chosen.append(out[2])

    with register_module_forward_hook(hear):
        hidden = torch.from_numpy(reference_mtp_hidden(source, words[:, :-1].numpy())[0])
    experts = chosen[-1].view(*hidden.shape[:2], -1)
    return FurtherTokens(nll=nll_of(load_reference(source).lm_head(hidden), words[:, 2:]), experts=experts.numpy())


def mean(nll: NDArray[np.float32], real: NDArray[np.bool_]) -> float:
    """Over real targets."""
    return float(nll[real].mean(dtype=np.float64))


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_losses_and_choices_equal_transformers(evaluated: Evaluated, tmp_path: Path, mapping: str) -> None:
    """Token for token, in batches that do not divide the windows, and dealt to ranks that get unlike many."""
    world_size, flags = MAPPINGS[mapping]
    found = evaluated.measure(tmp_path / "out.npz", world_size, *flags)
    real, expected = evaluated.real, evaluated.expected
    for size in BATCH_SIZES:
        nll = found[f"{size} nll"]
        np.testing.assert_allclose(nll[real], expected.nll[real], rtol=0, atol=TOLERANCE)
        assert mean(nll, real) == pytest.approx(mean(expected.nll, real), abs=1e-6)
        assert_same_experts(found, size, evaluated)
        assert (f"{size} mtp_nll" in found) == (evaluated.further is not None)
        if evaluated.further:
            assert_same_further_tokens(found, size, real, evaluated.further)


def assert_same_further_tokens(
    found: dict[str, NDArray[np.float32]], size: str, real: NDArray[np.bool_], expected: FurtherTokens
) -> None:
    """Losses, and experts of all tokens that are followed by another in their window."""
    scored = real[:, 1:]
    (nll,) = found[f"{size} mtp_nll"]
    np.testing.assert_allclose(nll[:, :-1][scored], expected.nll[scored], rtol=0, atol=TOLERANCE)
    chosen = np.zeros((*real.shape, 4), np.int64)
    chosen[real] = found[f"{size} mtp_0"]
    np.testing.assert_array_equal(np.sort(chosen[:, :-1][scored]), np.sort(expected.experts[scored]))


def assert_same_experts(found: dict[str, NDArray[np.float32]], size: str, evaluated: Evaluated) -> None:
    """Exactly the experts of transformers' routers, but where a choice is within rounding."""
    expected, real = evaluated.expected, evaluated.real
    layers = {name.split()[1] for name in found if name.startswith(f"{size} layer_")}
    assert layers == expected.experts.keys()
    for layer, experts in expected.experts.items():
        chosen = found[f"{size} {layer}"]
        clear = expected.margins[layer][real] > CLEAR
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(np.sort(chosen[clear]), np.sort(experts[real][clear]))
        ordered = clear & (expected.gaps[layer][real] > CLEAR)
        assert ordered.mean() > 0.9
        np.testing.assert_array_equal(chosen[ordered], experts[real][ordered])
