"""Rules of the parallel mapping: virtual and uneven pipelines, sequence parallel."""

from collections.abc import Iterator

from harness.config.balanced_layout import balanced_layout
from harness.config.directives import Derived, Directive, Flag, Notice, Problem
from harness.config.draft import Draft, shown_settings
from harness.config.layers import LAYER_ORDER
from harness.config.releases import Release
from harness.config.setting_flags import FLAG_OF_SETTING

LAYOUT = FLAG_OF_SETTING["PP_LAYOUT"]
_FIRST_LAYOUT = Release(0, 13)  # the first release with --pipeline-model-parallel-layout
_MTP_IN_LAYOUT = Release(0, 14)  # the first release whose layouts name MTP modules


def layers_per_virtual_stage(draft: Draft) -> Iterator[Directive]:
    """VPP and LAYERS_PER_VP express the same; the one written in the higher layer decides the other.

    Layers per virtual stage are counted on a middle pipeline rank, after PP_FIRST and PP_LAST are taken off:
    DeepSeek-V2 at PP=16, VPP=2 with 2 + 2 has (60 - 4) / 14 / 2 = 2.
    """
    per_rank, vpp, per_stage = _middle_layers(draft), draft.integer("VPP"), draft.integer("LAYERS_PER_VP")
    wrote = {name: draft.layer_rank(name, LAYER_ORDER) for name in ("LAYERS_PER_VP", "VPP")}
    if draft.integer("PP") == 1 or not per_rank or draft.text("PP_LAYOUT"):
        return
    if not per_stage or wrote["LAYERS_PER_VP"] < wrote["VPP"]:
        if per_rank % vpp == 0:
            yield Derived(name="LAYERS_PER_VP", value=per_rank // vpp)
        return
    where = f"LAYERS_PER_VP={per_stage} ({draft.origin('LAYERS_PER_VP')})"
    if per_rank % per_stage:
        yield Problem(
            text=f"{where} does not divide the {per_rank} layers of a pipeline rank; {_divisors(per_rank)} do"
        )
    elif wrote["LAYERS_PER_VP"] == wrote["VPP"] and vpp != per_rank // per_stage:
        yield Problem(text=f"{where} means VPP={per_rank // per_stage}, but VPP={vpp} is written too; keep one of them")
    elif vpp != per_rank // per_stage:
        yield Derived(name="VPP", value=per_rank // per_stage)


def no_pipeline(draft: Draft) -> Iterator[Directive]:
    """With one pipeline stage there is nothing to interleave, so VPP is 1."""
    if draft.integer("PP") == 1 and draft.integer("VPP") > 1:
        yield Notice(text=f"VPP={draft.text('VPP')} ({draft.origin('VPP')}) has no effect at PP=1")
        yield Derived(name="VPP", value=1)
    if draft.integer("PP") == 1 and draft.integer("NUM_LAYERS"):
        yield Derived(name="LAYERS_PER_VP", value=draft.integer("NUM_LAYERS"))


def uneven_layers(draft: Draft) -> Iterator[Directive]:
    """Where PP was changed above the layer that chose PP_FIRST and PP_LAST, choose them anew for this PP."""
    pp, layers = draft.integer("PP"), draft.integer("NUM_LAYERS")
    given = [name for name in ("PP_FIRST", "PP_LAST") if draft.integer(name)]
    if pp < 2 or draft.text("PP_LAYOUT"):
        return
    if given and (_middle_layers(draft) or not _stale(draft, given)):
        return
    if not given and layers % (pp * draft.integer("VPP")) == 0:
        return
    split = _balanced(layers, pp, draft.integer("VPP"))
    if split is None:
        return
    first, last = split
    why = (
        f"{shown_settings(draft, given)} ({draft.origin(given[0])}) does not fit" if given else "does not divide evenly"
    )
    yield Derived(name="PP_FIRST", value=first)
    yield Derived(name="PP_LAST", value=last)
    middle = f", {(layers - first - last) // (pp - 2)} on each of the {pp - 2} between" if pp > 2 else ""
    yield Notice(
        text=f"NUM_LAYERS={layers} over PP={pp} {why}: taking PP_FIRST={first} PP_LAST={last}{middle}; "
        "set PP_FIRST and PP_LAST to choose"
    )
    yield from layers_per_virtual_stage(draft)


def balanced_stages(draft: Draft) -> Iterator[Directive]:
    """Where neither even stages nor PP_FIRST and PP_LAST can hold the layers, a layout is chosen."""
    pp, vpp, layers = draft.integer("PP"), draft.integer("VPP"), draft.integer("NUM_LAYERS")
    given = [name for name in ("PP_FIRST", "PP_LAST") if draft.integer(name)]
    if pp < 2 or _divides(draft) or draft.text("PP_LAYOUT") or (given and not _stale(draft, given)):
        return
    if draft.release < _FIRST_LAYOUT or draft.flags.has(LAYOUT):
        return
    mtp_layers = draft.flags.integer("--mtp-num-layers") if draft.release >= _MTP_IN_LAYOUT else 0
    stages = pp * vpp
    if stages > layers:
        return
    chosen = balanced_layout(layers, stages, dense_layers=draft.integer("DENSE_LAYERS"), mtp_layers=mtp_layers)
    yield Notice(
        text=f"NUM_LAYERS={layers} over PP={pp} VPP={vpp} does not divide: taking PP_LAYOUT='{chosen}'; "
        "set PP_LAYOUT to choose"
    )
    yield Flag(flag=LAYOUT, value=chosen)


def layout(draft: Draft) -> Iterator[Directive]:
    """PP_LAYOUT becomes `--pipeline-model-parallel-layout`, in place of VPP, PP_FIRST and PP_LAST."""
    if not draft.text("PP_LAYOUT"):
        return
    where = f"PP_LAYOUT ({draft.origin('PP_LAYOUT')})"
    if draft.release < _FIRST_LAYOUT:
        yield Problem(text=f"{where}: Megatron takes a layout from 0.13 on; use PP_FIRST, PP_LAST and VPP")
        return
    rank = draft.layer_rank("PP_LAYOUT", LAYER_ORDER)
    beside = [name for name in ("PP_FIRST", "PP_LAST", "VPP") if draft.layer_rank(name, LAYER_ORDER) >= rank]
    if beside:
        yield Notice(text=f"{shown_settings(draft, beside)} has no effect beside {where}")
    yield draft.carrier("PP_LAYOUT")


def virtual_pipeline(draft: Draft) -> Iterator[Directive]:
    """VPP beyond 1 interleaves the pipeline."""
    if draft.integer("VPP") > 1 and draft.integer("PP") > 1 and not draft.flags.has(LAYOUT):
        yield draft.carrier("VPP")


def uneven_pipeline(draft: Draft) -> Iterator[Directive]:
    """PP_FIRST and PP_LAST give the end stages their own number of layers."""
    if draft.integer("PP") < 2 or draft.flags.has(LAYOUT):
        return
    if draft.integer("PP_FIRST"):
        yield draft.carrier("PP_FIRST")
    if draft.integer("PP_LAST") and (
        draft.integer("PP") > 2 or not draft.integer("PP_FIRST")
    ):  # of two stages, one suffices
        yield draft.carrier("PP_LAST")


def sequence_parallel(draft: Draft) -> Iterator[Directive]:
    """Megatron wants sequence parallel wherever MoE layers meet tensor parallel."""
    if draft.integer("TP") > 1:
        yield Flag(flag="--sequence-parallel")


def _middle_layers(draft: Draft) -> int:
    """Layers on a middle pipeline rank, 0 if they do not come out whole."""
    ends = [draft.integer(name) for name in ("PP_FIRST", "PP_LAST") if draft.integer(name)]
    ranks = draft.integer("PP") - len(ends)
    left = draft.integer("NUM_LAYERS") - sum(ends)
    if ranks == 0:
        return ends[0] if left == 0 and ends[0] == ends[1] else 0
    return left // ranks if left > 0 and left % ranks == 0 else 0


def _divides(draft: Draft) -> bool:
    """Whether every virtual stage gets a whole number of layers."""
    ends = [draft.integer(name) for name in ("PP_FIRST", "PP_LAST") if draft.integer(name)]
    between, left = draft.integer("PP") - len(ends), draft.integer("NUM_LAYERS") - sum(ends)
    counts = [*ends, left // between if between else 0]
    whole = left == 0 if between == 0 else left > 0 and left % between == 0
    return whole and all(count % draft.integer("VPP") == 0 for count in counts)


def _divisors(number: int) -> str:
    return ", ".join(str(candidate) for candidate in range(1, number + 1) if number % candidate == 0)


def _stale(draft: Draft, given: list[str]) -> bool:
    """Whether the mapping was changed above the layer that wrote PP_FIRST or PP_LAST."""
    wrote = max(draft.layer_rank(name, LAYER_ORDER) for name in given)
    return any(draft.layer_rank(name, LAYER_ORDER) > wrote for name in ("PP", "NUM_LAYERS"))


def _balanced(layers: int, pp: int, vpp: int) -> tuple[int, int] | None:
    """(first, last) such that the fullest stage is as light as can be, the last one, with the loss, lightest."""
    best: tuple[int, int, int] | None = None
    for middle in range(vpp, layers, vpp):
        ends = layers - middle * (pp - 2)
        last = ends // 2 // vpp * vpp
        first = ends - last
        if last < vpp or first % vpp:
            continue
        fullest = max(first, last, middle if pp > 2 else 0)
        if best is None or fullest < best[0]:
            best = (fullest, first, last)
    return best[1:] if best else None
