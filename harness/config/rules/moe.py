"""Rules of the Mixture-of-Experts layers."""

from collections.abc import Iterator

from harness.config.directives import Blocker, Directive, Drop, Env, Flag, Notice, Problem
from harness.config.draft import Draft
from harness.config.job_environment import OVERLAP_VARIABLES
from harness.config.releases import Release
from harness.config.setting_flags import FLAG_OF_SETTING

DISPATCHER = FLAG_OF_SETTING["MOE_TOKEN_DISPATCHER"]
_FLEX = Release(0, 12)  # the first release with the flex dispatcher
_FLEX_BACKENDS = Release(0, 16)  # the first release that names flex's backend; before, flex meant DeepEP
_PERMUTE_FUSION_TE = Release(2, 1)
_A2A_OVERLAP = Release(0, 14)
_DELAYED_WGRAD_TE = Release(2, 8)  # older ones cannot delay weight gradients beside --overlap-grad-reduce
_FREQ_AS_LIST = Release(0, 12)  # the last release that needs a list for per-layer checkpoint keys

GROUP_SCORE_ENVIRONMENT = "MOE_HARNESS_GROUP_SCORE"
"""The variable that harness/engine/router.py reads."""


def extended_ep(draft: Draft) -> Iterator[Directive]:
    """Old launch lines carry `--moe-extended-ep`: experts are spread over TP, which today is ETP 1."""
    if draft.flags.has("--moe-extended-ep"):
        why = "--moe-extended-ep is in no Megatron release since 0.11; --expert-tensor-parallel-size 1 says the same"
        yield Drop(flag="--moe-extended-ep", why=why)
        yield Flag(flag="--expert-tensor-parallel-size", value="1")


def dispatcher(draft: Draft) -> Iterator[Directive]:
    """MOE_TOKEN_DISPATCHER = allgather | alltoall | flex (with FLEX_BACKEND) | deepep | hybridep."""
    asked = draft.text("MOE_TOKEN_DISPATCHER")
    if asked in ("allgather", "alltoall"):
        yield Flag(flag=DISPATCHER, value=asked)
        return
    backend = draft.text("FLEX_BACKEND") if asked == "flex" else asked
    where = f"MOE_TOKEN_DISPATCHER={asked} ({draft.origin('MOE_TOKEN_DISPATCHER')})"
    if draft.embedded:
        yield Notice(text=f"{where}: the embedded engine has no {backend}; alltoall instead")
        yield Flag(flag=DISPATCHER, value="alltoall")
    elif draft.release < _FLEX:
        yield Notice(text=f"{where}: Megatron 0.11 has no flex dispatcher (0.12 has); alltoall instead")
        yield Flag(flag=DISPATCHER, value="alltoall")
    else:
        yield from _flex(draft, backend, where)


def _flex(draft: Draft, backend: str, where: str) -> Iterator[Directive]:
    yield Flag(flag=DISPATCHER, value="flex")
    if draft.release >= _FLEX_BACKENDS:
        yield Flag(flag="--moe-flex-dispatcher-backend", value=backend)
    elif backend == "deepep":
        yield Flag(flag="--moe-enable-deepep")
    else:
        yield Problem(
            text=f"{where}: {backend} needs Megatron 0.16 or newer; set MOE_TOKEN_DISPATCHER=deepep or alltoall"
        )


def grouped_gemm(draft: Draft) -> Iterator[Directive]:
    """MOE_GROUPED_GEMM=1 runs all experts of a rank as one grouped GEMM."""
    if draft.switch("MOE_GROUPED_GEMM"):
        yield Flag(flag="--moe-grouped-gemm")


def permute_fusion(draft: Draft) -> Iterator[Directive]:
    """PERMUTE_FUSION=1 is Transformer Engine's fused token permutation, from its version 2.1 on."""
    if not draft.switch("PERMUTE_FUSION") or draft.embedded:
        return
    if draft.te >= _PERMUTE_FUSION_TE:
        yield Flag(flag="--moe-permute-fusion")
    else:
        yield Notice(
            text=f"no permute fusion: it needs Transformer Engine 2.1, TE_VERSION is {draft.text('TE_VERSION')}"
        )


def moe_layer_freq(draft: Draft) -> Iterator[Directive]:
    """DENSE_LAYERS, then MoE layers up to NUM_LAYERS. Up to 0.12 only a list gives per-layer checkpoint keys."""
    dense, layers = draft.integer("DENSE_LAYERS"), draft.integer("NUM_LAYERS")
    if not layers:
        return
    if dense >= layers:
        yield Problem(
            text=f"DENSE_LAYERS={dense} leaves no MoE layer of NUM_LAYERS={layers}; allowed: 0 to {layers - 1}"
        )
    elif dense:
        yield Flag(flag="--moe-layer-freq", value=f"([0]*{dense}+[1]*{layers - dense})")
    elif draft.release <= _FREQ_AS_LIST:
        yield Flag(flag="--moe-layer-freq", value=f"([1]*{layers})")


def force_balance(draft: Draft) -> Iterator[Directive]:
    """FORCE_BALANCE=1 routes evenly: a benchmark of the hardware, not a training run."""
    if draft.switch("FORCE_BALANCE"):
        yield Flag(flag="--moe-router-force-load-balancing")


def group_score(draft: Draft) -> Iterator[Directive]:
    """GROUP_SCORE=max chooses groups of experts by their best expert, as DeepSeek-V2 does; the embedded engine can."""
    if draft.text("GROUP_SCORE") != "max":
        return
    where = f"GROUP_SCORE=max ({draft.origin('GROUP_SCORE')})"
    if not draft.flags.has("--moe-router-group-topk"):
        yield Notice(text=f"{where} has no effect: without --moe-router-group-topk there are no groups to score")
    elif not draft.embedded:
        yield Blocker(
            text=f"{where}: Megatron itself scores a group by the sum of its best experts; "
            "leave MEGATRON_PATH out for the embedded engine, or set GROUP_SCORE=sum"
        )
    else:
        yield Env(name=GROUP_SCORE_ENVIRONMENT, value="max")


def a2a_overlap(draft: Draft) -> Iterator[Directive]:
    """A2A_OVERLAP=1 hides the experts' all-to-all behind the other micro-batch's GEMMs; else the usual stream order."""
    wanted = draft.switch("A2A_OVERLAP")
    where = f"A2A_OVERLAP=1 ({draft.origin('A2A_OVERLAP')})"
    if wanted and draft.embedded:
        yield Notice(text=f"{where} has no effect: the embedded engine has no Transformer Engine")
        return
    if draft.embedded:
        return
    if wanted and draft.release < _A2A_OVERLAP:
        yield Notice(text=f"{where} has no effect: Megatron has it from 0.14 on")
        wanted = False
    if wanted:
        yield Flag(flag="--overlap-moe-expert-parallel-comm")
        yield from _delayed_weight_gradients(draft)
    # Streams that may run at once, and SMs that Transformer Engine's norms leave to the all-to-all.
    values = ("32", "20", "20") if wanted else ("1", "0", "0")
    yield from (Env(name=name, value=value) for name, value in zip(OVERLAP_VARIABLES, values, strict=True))


def _delayed_weight_gradients(draft: Draft) -> Iterator[Directive]:
    if draft.te >= _DELAYED_WGRAD_TE:
        yield Flag(flag="--delay-wgrad-compute")
    else:
        needs = f"it needs Transformer Engine {_DELAYED_WGRAD_TE}, not {draft.text('TE_VERSION')}"
        yield Notice(text=f"no --delay-wgrad-compute: {needs}")
