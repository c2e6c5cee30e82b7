"""A search as a page: memory against throughput, the front of what is best, and the table of the best."""

from collections.abc import Iterator, Sequence

from harness.plan.candidate import Candidate
from harness.plan.search import SearchResult
from harness.plan.space.recompute_sets import show_recompute
from harness.report.html.page import command_line, paragraph, render_page
from harness.report.html.scatter import Dot, render_scatter
from harness.report.html.table import render_table
from harness.report.text.prediction import show_exchange
from harness.units import GIB, show_seconds

HEADERS = (
    *("", "TP", "PP", "VPP", "EP", "ETP", "CP", "MBS", "tokens by", "recompute"),
    *("memory (GiB)", "step", "TFLOP/s/GPU", "tokens/s/GPU", "limited by"),
)


LEGEND = """\
A dot is one way to run; the line joins those that nothing beats in memory and throughput at once; the dashed line is
the memory of the GPU. Numbers are the rows below. Hover a dot to read it. Ways to run that are slower than the best of
{grids} grids were not timed."""


def render_plan_page(title: str, found: SearchResult, command: str, *, best: int) -> str:
    """The page; the `best` first grids get a number in the plot and a row in the table."""
    top, hbm_gib = found.best[:best], found.best[0].gpu.hbm_bytes / GIB
    parts = (
        render_scatter(_dots(found, top), limit=hbm_gib, x_title="memory (GiB)", y_title="tokens/s/GPU"),
        paragraph(LEGEND.format(grids=len(found.best))),
        render_table(_rows(top), HEADERS),
        paragraph("The best of them:"),
        command_line(command),
        paragraph(f"{_counts(found)} All figures are predictions."),
    )
    return render_page(title, parts)


def _dots(found: SearchResult, top: Sequence[Candidate]) -> list[Dot]:
    """Every way to run that was timed, and the best of each grid on top."""
    ranks = {id(one): rank for rank, one in enumerate(top, start=1)}
    return [
        Dot(
            x=one.peak.total_bytes / GIB,
            y=one.tokens_per_s_per_gpu,
            text=_described(one),
            label=str(ranks[id(one)]) if id(one) in ranks else "",
        )
        for one in found.timed
    ]


def _described(one: Candidate) -> str:
    par = one.parallel
    return (
        f"TP{par.tp} PP{par.pp} VPP{par.vpp} EP{par.ep} ETP{par.etp} CP{par.cp} MBS{one.batch.micro},"
        f" {show_exchange(one.job)}, recompute {show_recompute(one.job.recompute)}:"
        f" {one.peak.total_bytes / GIB:.1f} GiB, {one.tokens_per_s_per_gpu:,.0f} tokens/s/GPU"
    )


def _rows(top: Sequence[Candidate]) -> Iterator[tuple[str, ...]]:
    for rank, one in enumerate(top, start=1):
        par = one.parallel
        yield (
            *map(str, (rank, par.tp, par.pp, par.vpp, par.ep, par.etp, par.cp, one.batch.micro)),
            show_exchange(one.job),
            show_recompute(one.job.recompute),
            f"{one.peak.total_bytes / GIB:.1f}",
            show_seconds(one.step_time.total_s),
            f"{one.tflops_per_gpu:.0f}",
            f"{one.tokens_per_s_per_gpu:,.0f}",
            ", ".join(one.limits),
        )


def _counts(found: SearchResult) -> str:
    counts = found.counts
    return (
        f"{counts.enumerated:,} ways to run {counts.grids:,} grids: {counts.too_large:,} do not fit,"
        f" {counts.no_faster:,} cannot be faster, {counts.timed:,} timed and shown."
    )
