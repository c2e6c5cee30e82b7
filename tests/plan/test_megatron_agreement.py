"""Our verdict against Megatron's own on random configurations, both ways: neither too lax nor too strict."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from harness.plan.constraints.check import check
from harness.plan.violation import Violation

pytest.importorskip("megatron.training")

from megatron_verdict import refusal
from random_flags import Configuration, configurations

FEW, MANY = 150, 3000
PAGE = Path(__file__).parents[2] / "docs" / "checks.md"
REFUSED_LATER = {  # what our messages begin with, or hold → where Megatron finds out, beyond the checks that run here
    "flex dispatcher needs": "MoEFlexTokenDispatcher, when a layer is built",
    "not support with shared experts": "SharedExpertMLP, when a layer is built",
    "does not divide --num-attention-heads": "SelfAttention, when it groups the heads of its first batch",
    "--sequence-parallel splits": "the embedding, when it scatters its first batch",
    "with experts, but without --sequence-parallel": "MoELayer, when its first batch trains",
    "needs Transformer Engine, and --transformer-impl is local": "the experts, when a layer is built",
    "mxfp8 on H100": "Transformer Engine, at the first quantized GEMM",
    "nvfp4 on H100": "Transformer Engine, at the first quantized GEMM",
    "blockwise fp8 on": "Transformer Engine, at the first quantized GEMM",
    "sinkhorn with --moe-aux-loss-coeff": "TopKRouter, when it routes its first batch",
    "over --moe-router-group-topk": "never: with fewer experts than groups it ranks groups by an empty sum",
    "for -1 stages between": "never: at PP=1 it ignores PP_LAST, whatever it says",
    "--moe-shared-expert-intermediate-size without": "never: it leaves them out without a word",
    "--moe-router-num-groups without": "never: it ignores them without a word",
    "--num-query-groups without": "never: it ignores them without a word",
}
REACHED = {  # constraints that the draw must break, or it proves nothing of them
    "attention", "balancing", "capacity", "cp-communication", "cuda-graphs", "deferred-embedding", "delayed-wgrad",
    "dispatcher",
    "evaluation-batch", "expert-bias", "expert-groups", "expert-overlap", "expert-parallel", "fp8", "fsdp", "fusion",
    "global-batch", "interleaving", "learning-rate", "linear-bias", "mtp", "offload", "optimizer", "pipeline-flags",
    "pipeline-layers", "pipeline-layout", "precision", "quantization-padding", "recompute", "sequence-length", "shape",
    "tensor-parallel", "top-k", "tp-overlap", "units", "weight-decay", "world-size",
}  # fmt: skip


def agree(ours: list[Violation], theirs: str | None) -> bool:
    """Both refuse or both accept, or we name only what Megatron would meet later."""
    if theirs is not None:
        return bool(ours)
    return all(any(fragment in violation.message for fragment in REFUSED_LATER) for violation in ours)


def tally(examples: int) -> Counter[str]:
    """How many of so many draws each constraint refused, and how many were `runnable` or refused for one `single`
    reason. A draw on which the verdicts differ is shrunk to the smallest such one, and fails."""
    counts: Counter[str] = Counter()

    calm = list(HealthCheck)

    @settings(max_examples=examples, derandomize=True, database=None, suppress_health_check=calm)
    @given(configurations())
    def compare(drawn: Configuration) -> None:
        ours = check(drawn.args, drawn.world_size, gpu=drawn.gpu, te=drawn.te, env=drawn.env)
        theirs = refusal(drawn.args, drawn.world_size, gpu=drawn.gpu, te=drawn.te, env=drawn.env)
        assert agree(ours, theirs), (" ".join(drawn.args.argv()), drawn, list(map(str, ours)), theirs)
        counts.update({violation.constraint for violation in ours})
        counts.update(drawn=1, runnable=theirs is None, single=len(ours) == 1, literal=bool(ours) is bool(theirs))

    compare()
    return counts


def test_verdicts_agree_on_a_few_random_configurations() -> None:
    assert tally(FEW)["runnable"] > FEW / 5


@pytest.mark.slow
def test_verdicts_agree_on_many_random_configurations() -> None:
    counts = tally(MANY)
    print(
        f"{counts['drawn']} drawn, {counts['runnable']} runnable, {counts['literal']} alike, {counts['single']} single"
    )
    assert MANY * 0.3 < counts["runnable"] < MANY * 0.6
    assert counts["single"] > counts["drawn"] / 5
    assert counts.keys() >= REACHED


def test_the_page_lists_what_is_refused_later() -> None:
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)
    assert dict(rows) == REFUSED_LATER
