"""Rules of precision, the optimizer's states, and tensor-parallel communication."""

from collections.abc import Iterator

from harness.config.directives import Directive, Flag, Notice, Problem
from harness.config.draft import Draft
from harness.config.releases import Release

_NARROW_MOMENTS = Release(0, 13)  # the first release whose --exp-avg-dtype takes bf16
_MXFP8_PARAMETERS = Release(0, 13)  # the first release that keeps parameters in mxfp8
_OFFLOAD = Release(0, 12)  # the first release with --optimizer-cpu-offload
_BLOCKWISE = Release(0, 13)  # the first release with --fp8-recipe blockwise
_RECIPES = Release(0, 12)  # the first release with --fp8-recipe


def precision(draft: Draft) -> Iterator[Directive]:
    """PR = bf16 | fp8 | mxfp8 | fp32."""
    chosen = draft.text("PR")
    if chosen == "fp32":
        return
    yield Flag(flag="--bf16")
    if chosen in ("fp8", "mxfp8"):
        yield from _fp8(draft, chosen)


def _fp8(draft: Draft, chosen: str) -> Iterator[Directive]:
    if chosen == "mxfp8":
        if draft.release < _RECIPES:
            yield Problem(
                text=f"PR=mxfp8 ({draft.origin('PR')}): Megatron {draft.release} has no --fp8-recipe; 0.12 has"
            )
        yield from _recipe(draft, "e4m3", "mxfp8")
    elif draft.release >= _BLOCKWISE:
        yield from _recipe(draft, "e4m3", "blockwise")
    else:
        yield Notice(text=f"PR=fp8 means delayed scaling on Megatron {draft.release}; blockwise came with 0.13")
        yield from _recipe(draft, "hybrid", "delayed")
    gathers = chosen == "fp8" or draft.release >= _MXFP8_PARAMETERS
    if gathers and not draft.switch("OPTIMIZER_OFFLOAD"):  # an offloaded optimizer cannot gather fp8 parameters
        yield Flag(flag="--fp8-param-gather")
        if chosen == "mxfp8":
            yield Flag(flag="--reuse-grad-buf-for-mxfp8-param-ag")
    if draft.text("MOE_TOKEN_DISPATCHER") != "allgather":
        yield Flag(flag="--moe-router-padding-for-quantization")
    if draft.release >= _NARROW_MOMENTS:
        yield Flag(flag="--use-precision-aware-optimizer")
        yield Flag(flag="--main-grads-dtype", value="fp32")
        yield Flag(flag="--main-params-dtype", value="fp32")
        yield Flag(flag="--exp-avg-dtype", value="bf16")
        yield Flag(flag="--exp-avg-sq-dtype", value="bf16")


def _recipe(draft: Draft, number_format: str, recipe: str) -> Iterator[Directive]:
    yield Flag(flag="--fp8-format", value=number_format)
    if draft.release >= _RECIPES:
        yield Flag(flag="--fp8-recipe", value=recipe)


def optimizer_offload(draft: Draft) -> Iterator[Directive]:
    """OPTIMIZER_OFFLOAD=1 keeps optimizer states in host memory and steps there."""
    if not draft.switch("OPTIMIZER_OFFLOAD"):
        return
    where = f"OPTIMIZER_OFFLOAD=1 ({draft.origin('OPTIMIZER_OFFLOAD')})"
    if draft.embedded:
        yield Notice(text=f"{where} has no effect: the embedded engine has no Transformer Engine")
    elif draft.release < _OFFLOAD:
        yield Problem(text=f"{where}: Megatron {draft.release} cannot offload its optimizer; 0.12 and newer can")
    else:
        yield Flag(flag="--optimizer-cpu-offload")
        yield Flag(flag="--overlap-cpu-optimizer-d2h-h2d")
        yield Flag(flag="--use-precision-aware-optimizer")


def tp_comm_overlap(draft: Draft) -> Iterator[Directive]:
    """TP_COMM_OVERLAP=1 needs tensor parallel, and a Transformer Engine with UserBuffers."""
    if not draft.switch("TP_COMM_OVERLAP"):
        return
    where = f"TP_COMM_OVERLAP=1 ({draft.origin('TP_COMM_OVERLAP')})"
    if draft.embedded:
        yield Notice(text=f"{where} has no effect: the embedded engine has no Transformer Engine")
    elif draft.integer("TP") < 2:
        yield Notice(text=f"{where} has no effect at TP=1")
    else:
        yield Flag(flag="--tp-comm-overlap")
