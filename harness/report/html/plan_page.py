"""A search as a page: memory against throughput, the front of what is possible, and the table of the best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.cost.memory import ERROR_BAND
from harness.plan.candidate import Candidate
from harness.plan.search import SearchResult
from harness.plan.space.recompute_sets import show_recompute
from harness.report.html.page_table import PageColumn, text_table
from harness.report.html.scatter import Dot, scatter_plot
from harness.report.html.templating import render_page
from harness.report.text.plain_table import show_known
from harness.report.text.prediction import show_exchange
from harness.units import GIB, show_seconds

COLUMNS = (
    PageColumn(name="#", numeric=True),
    *(PageColumn(name=name, numeric=True) for name in ("TP", "PP", "VPP", "EP", "ETP", "CP", "MBS")),
    PageColumn(name="Tokens by"),
    PageColumn(name="Recompute"),
    PageColumn(name="Memory", unit="GiB", numeric=True),
    *(PageColumn(name=name, numeric=True) for name in ("Step", "Tokens/s/GPU", "TFLOP/s/GPU", "MFU")),
    PageColumn(name="GPU-hours", unit="a billion tokens", numeric=True),
    PageColumn(name="Limited by"),
)
_BILLION = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class PlanFront:
    """The front of the whole space, from the least memory on, and all that was timed to find it."""

    front: Sequence[Candidate]
    tried: Sequence[Candidate]


def render_plan_page(title: str, found: SearchResult, whole: PlanFront, command: str, *, best: int, made: str) -> str:
    """The page; the `best` first grids get a number in the plot and a row in the table. `made` is when."""
    top, gpu = found.best[:best], found.best[0].gpu
    ways = _distinct([*found.timed, *whole.tried])
    dots = [_dot(one) for one in ways]
    plots = [
        scatter_plot(
            kind,
            size,
            dots,
            best=[_dot(one) for one in top],
            joined=[_dot(one) for one in whole.front],
            limit=gpu.hbm_bytes / GIB,
            error=ERROR_BAND,
        )
        for kind, size in (("wide", (1040, 480)), ("narrow", (358, 400)))
    ]
    return render_page(
        "plan.html.j2",
        title=title,
        made=made,
        dots=dots,
        plots=plots,
        hbm=f"{gpu.hbm_bytes / GIB:.0f} GiB",
        gpu=gpu.name,
        error=f"{ERROR_BAND:.0%}",
        best=text_table(COLUMNS, [list(_cells(str(rank), one)) for rank, one in enumerate(top, start=1)]),
        front=text_table(COLUMNS, [list(_cells(str(at), one)) for at, one in enumerate(whole.front, start=1)]),
        command=command,
        counts=_counts(found),
        drawn=f"{len(ways):,}",
    )


def _distinct(ways: Sequence[Candidate]) -> list[Candidate]:
    """Each way to run once: the front and the best are sought apart, and meet some ways both."""
    found = {(*sorted(one.settings.items()), *sorted(map(str, one.flags.items()))): one for one in ways}
    return list(found.values())


def _dot(one: Candidate) -> Dot:
    return Dot(x=one.peak.total_bytes / GIB, y=one.tokens_per_s_per_gpu, text=_described(one))


def _described(one: Candidate) -> str:
    par = one.parallel
    return (
        f"TP{par.tp} PP{par.pp} VPP{par.vpp} EP{par.ep} ETP{par.etp} CP{par.cp} MBS{one.batch.micro},"
        f" {show_exchange(one.job)}, recompute {show_recompute(one.job.recompute)}:"
        f" {one.peak.total_bytes / GIB:.1f} GiB, {one.tokens_per_s_per_gpu:,.0f} tokens/s/GPU"
    )


def _cells(rank: str, one: Candidate) -> Iterator[str]:
    par = one.parallel
    yield from (rank, *map(str, (par.tp, par.pp)), f"{par.vpp}*" if one.layout else str(par.vpp))
    yield from map(str, (par.ep, par.etp, par.cp, one.batch.micro))
    yield show_exchange(one.job)
    yield show_recompute(one.job.recompute)
    yield f"{one.peak.total_bytes / GIB:.1f}"
    yield show_seconds(one.step_time.total_s)
    yield f"{one.tokens_per_s_per_gpu:,.0f}"
    yield f"{one.tflops_per_gpu:.0f}"
    yield show_known(one.mfu, "{:.1%}".format)
    yield f"{_BILLION / one.tokens_per_s_per_gpu / 3600:,.0f}"
    yield ", ".join(one.limits)


def _counts(found: SearchResult) -> str:
    counts = found.counts
    return (
        f"{counts.enumerated:,} ways to run {counts.grids:,} grids: {counts.too_large:,} do not fit,"
        f" {counts.no_faster:,} cannot be among the {len(found.best)} fastest grids, {counts.refused:,} refused by"
        " Megatron"
    )
