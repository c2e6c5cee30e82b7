"""Layers over pipeline stages: evenly, with a first and last stage of their own, or by an explicit layout."""

from collections.abc import Iterator

from harness.arch.layout import layout_problems, layout_stages
from harness.arch.parallel import pipeline_units
from harness.config.releases import Release
from harness.config.setting_flags import FLAG_OF_SETTING
from harness.plan.violation import (
    Case,
    Violation,
    divisors,
    either,
    listed,
    names,
    neighbours,
)

LAYOUT = FLAG_OF_SETTING["PP_LAYOUT"]
PER_STAGE = "--num-layers-per-virtual-pipeline-stage"  # LAYERS_PER_VP reaches Megatron as VPP instead
ACCOUNT = ("--account-for-embedding-in-pipeline-split", "--account-for-loss-in-pipeline-split")
VIRTUAL = (FLAG_OF_SETTING["VPP"], PER_STAGE, LAYOUT)
MTP_IN_LAYOUTS = Release(0, 14)  # first release whose layouts name MTP modules
MTP_APART_FROM_LOSS = Release(0, 16)  # first release that runs them on a stage without the loss


def pipeline_flags(case: Case) -> Iterator[Violation]:
    """Flags that describe the split in two ways at once (validate_args, TransformerConfig)."""
    uneven = [FLAG_OF_SETTING[name] for name in ("PP_FIRST", "PP_LAST") if FLAG_OF_SETTING[name] in case.args]
    account = [flag for flag in ACCOUNT if case.args.switch(flag)]
    virtual = [flag for flag in VIRTUAL if flag in case.args]
    if len(virtual) > 1:
        yield _contradiction(virtual)
    if uneven and account:
        yield _contradiction(uneven + account)
    if LAYOUT in case.args and uneven + account:
        yield _contradiction([LAYOUT, *uneven, *account])
    if uneven and PER_STAGE in virtual:
        yield Violation(
            constraint="pipeline-flags",
            message=f"{' and '.join(uneven)} with {PER_STAGE}",
            fix=f"say it with {FLAG_OF_SETTING['VPP']} (VPP)",
            names=names("LAYERS_PER_VP", PER_STAGE, "PP_FIRST", "PP_LAST"),
        )


def pipeline_layers(case: Case) -> Iterator[Violation]:
    """Every virtual stage gets a whole number of layers."""
    if any(pipeline_flags(case)):
        return
    if LAYOUT in case.args:
        yield from _layout(case)
    elif FLAG_OF_SETTING["PP_FIRST"] in case.args or FLAG_OF_SETTING["PP_LAST"] in case.args:
        yield from _uneven(case)
    else:
        yield from _even(case)


def _layout(case: Case) -> Iterator[Violation]:
    layout = case.args.text(LAYOUT)
    problems = layout_problems(
        layout,
        pp=case.parallel.pp,
        num_layers=case.args.integer("--num-layers"),
        mtp_layers=case.args.integer("--mtp-num-layers") if case.release >= MTP_IN_LAYOUTS else None,
    )
    for problem in problems:
        yield Violation(
            constraint="pipeline-layout",
            message=f"{LAYOUT} {layout} {problem}",
            fix="write one stage for each PP·VPP, e.g. Et|t|tL for PP=3 and three layers",
            names=names(LAYOUT, "PP", "NUM_LAYERS"),
        )


def mtp_layout(case: Case) -> Iterator[Violation]:
    """Early layouts keep MTP modules beside the loss, the earliest without a word (validate_layer_layout).

    What 0.14 means to assert of this never fails there: it builds the modules beside the loss whatever is written.
    """
    layout = case.args.text(LAYOUT)
    stages = layout_stages(layout)
    if case.release < MTP_IN_LAYOUTS and "m" in "".join(stages):
        problem = "names an MTP module (m); allowed before Megatron 0.14: E, t, L"
        fix = "leave m out: the last stage holds it anyway"
    elif case.release < MTP_APART_FROM_LOSS and "m" in "".join(stages[:-1]):
        problem = "has an MTP module (m) apart from the loss; allowed before Megatron 0.16: m in the stage of L"
        fix = "end the layout with mL"
    else:
        return
    yield Violation(
        constraint="pipeline-layout",
        message=f"{LAYOUT} {layout} {problem}",
        fix=fix,
        names=(LAYOUT, "--mtp-num-layers"),
    )


def _even(case: Case) -> Iterator[Violation]:
    """All stages alike; an embedding or loss that counts as a layer is divided with them."""
    units, pp, vpp = pipeline_units(case.args), case.parallel.pp, case.parallel.vpp
    what = f"{units} layers" if units == case.args.integer("--num-layers") else f"{units} layers, embedding and loss"
    if units % pp:
        yield Violation(
            constraint="pipeline-layers",
            message=f"PP={pp} does not divide {what}; allowed: {listed(divisors(units))}",
            fix=f"{either('PP', neighbours(pp, divisors(units)))}, or an uneven split with PP_FIRST and PP_LAST",
            names=names("PP", "NUM_LAYERS"),
        )
        return
    per_stage = case.args.integer(PER_STAGE) or units // pp // vpp
    if units // pp % vpp or units // pp % max(1, per_stage):
        allowed = divisors(units // pp)
        virtual = f"LAYERS_PER_VP={per_stage}" if PER_STAGE in case.args else f"VPP={vpp}"
        setting, _, value = virtual.partition("=")
        yield Violation(
            constraint="pipeline-layers",
            message=f"{virtual} does not divide the {units // pp} layers of a stage ({what}, PP={pp}); "
            f"allowed: {listed(allowed)}",
            fix=either(setting, neighbours(int(value), allowed)),
            names=names("VPP", "LAYERS_PER_VP", PER_STAGE, "PP", "NUM_LAYERS"),
        )


def _uneven(case: Case) -> Iterator[Violation]:
    """PP_FIRST and PP_LAST are taken off; the stages between share the rest alike."""
    layers, pp, vpp = case.args.integer("--num-layers"), case.parallel.pp, case.parallel.vpp
    ends = {name: case.args.integer(FLAG_OF_SETTING[name]) for name in ("PP_FIRST", "PP_LAST")}
    given = {name: count for name, count in ends.items() if count}
    said = " and ".join(f"{name}={count}" for name, count in given.items())
    middle, stages = layers - sum(given.values()), pp - len(given)
    about = names(*given, "PP", "NUM_LAYERS")
    if middle < 0 or stages < 0 or bool(middle) != bool(stages):
        yield Violation(
            constraint="pipeline-layers",
            message=f"{said} of {layers} layers leave {middle} layers for {stages} stages between (PP={pp})",
            fix="let them leave layers exactly where stages are left",
            names=about,
        )
        return
    if stages and middle % stages:
        yield Violation(
            constraint="pipeline-layers",
            message=f"{said} leave {middle} layers, which the {stages} stages between cannot share alike (PP={pp})",
            fix=_shareable(given, layers, stages),
            names=about,
        )
        return
    per_stage = {**given, **({"a stage between": middle // stages} if stages else {})}
    odd = ", ".join(f"{count} ({name})" for name, count in per_stage.items() if count % vpp)
    if odd:
        yield Violation(
            constraint="pipeline-layers",
            message=f"VPP={vpp} does not divide the layers of every stage: {odd}",
            fix="VPP=1, or stages that are multiples of VPP",
            names=names("VPP", *given, "PP", "NUM_LAYERS"),
        )


def _shareable(given: dict[str, int], layers: int, stages: int) -> str:
    """The nearest PP_FIRST (or PP_LAST) that leaves a multiple of the stages between."""
    name, found = next(iter(given.items()))
    others = sum(given.values()) - found
    allowed = [count for count in range(1, layers - others) if (layers - others - count) % stages == 0]
    return either(name, neighbours(found, allowed)) if allowed else "a smaller PP"


def _contradiction(flags: list[str]) -> Violation:
    return Violation(
        constraint="pipeline-flags",
        message=f"{', '.join(flags)} all say how layers are split; allowed: one way",
        fix="keep one of them",
        names=tuple(flags),
    )
