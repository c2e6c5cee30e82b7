"""A search as one HTML file: memory against throughput, the front of what is best, and the table of the best.

The file asks no network for anything, and follows the reader's light or dark theme.
"""

from collections.abc import Iterator, Sequence
from html import escape

from harness.plan.candidate import Candidate
from harness.plan.search import Found
from harness.plan.space.recompute_sets import shown
from harness.report.scatter import Dot, render_scatter
from harness.report.text.prediction import show_exchange
from harness.units import GIB, show_seconds

HEADERS = (
    *("", "TP", "PP", "VPP", "EP", "ETP", "CP", "MBS", "tokens by", "recompute"),
    *("memory (GiB)", "step", "TFLOP/s/GPU", "tokens/s/GPU", "limited by"),
)


def render_page(title: str, found: Found, command: str, *, best: int) -> str:
    """The page; the `best` first grids get a number in the plot and a row in the table."""
    top, hbm_gib = found.best[:best], found.best[0].gpu.hbm_bytes / GIB
    plot = render_scatter(_dots(found, top), limit=hbm_gib, x_title="memory (GiB)", y_title="tokens/s/GPU")
    texts = {"title": escape(title), "command": escape(command), "counts": _counts(found), "grids": len(found.best)}
    return _PAGE.format(plot=plot, table=_table(top), **texts)


def _dots(found: Found, top: Sequence[Candidate]) -> list[Dot]:
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
        f" {show_exchange(one.job)}, recompute {shown(one.job.recompute)}:"
        f" {one.peak.total_bytes / GIB:.1f} GiB, {one.tokens_per_s_per_gpu:,.0f} tokens/s/GPU"
    )


def _table(top: Sequence[Candidate]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in HEADERS)
    rows = (f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in _rows(top))
    return f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"


def _rows(top: Sequence[Candidate]) -> Iterator[tuple[str, ...]]:
    for rank, one in enumerate(top, start=1):
        par = one.parallel
        yield (
            *map(str, (rank, par.tp, par.pp, par.vpp, par.ep, par.etp, par.cp, one.batch.micro)),
            show_exchange(one.job),
            shown(one.job.recompute),
            f"{one.peak.total_bytes / GIB:.1f}",
            show_seconds(one.step_time.total_s),
            f"{one.tflops_per_gpu:.0f}",
            f"{one.tokens_per_s_per_gpu:,.0f}",
            ", ".join(one.limits),
        )


def _counts(found: Found) -> str:
    counts = found.counts
    return (
        f"{counts.enumerated:,} ways to run {counts.grids:,} grids: {counts.too_large:,} do not fit,"
        f" {counts.no_faster:,} cannot be faster, {counts.timed:,} timed and shown."
    )


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{
  color-scheme: light dark;
  --ground: #fbfbfa; --ink: #1d2126; --faint: #6b7280; --line: #d5d8dc; --dot: #8fa3b8; --best: #0b63b0;
  --limit: #b3261e;
}}
@media (prefers-color-scheme: dark) {{
  :root {{
    --ground: #15181c; --ink: #e6e8ea; --faint: #9aa3ad; --line: #363c44; --dot: #5d7186; --best: #6db3f2;
    --limit: #f2857c;
  }}
}}
body {{
  margin: 0 auto; max-width: 84rem; padding: 1.5rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif;
}}
h1 {{ font-size: 1.3rem; }}
svg {{ width: 100%; height: auto; }}
svg text {{ fill: var(--faint); font-size: 12px; }}
.axis {{ stroke: var(--line); }}
.dot {{ fill: var(--dot); fill-opacity: .55; }}
.best {{ fill: var(--best); }}
text.number {{ fill: var(--ground); font-size: 10px; font-weight: 600; }}
.front {{ fill: none; stroke: var(--best); stroke-width: 1.5; }}
.limit {{ stroke: var(--limit); stroke-dasharray: 5 4; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 13px; white-space: nowrap; }}
th, td {{ padding: .3rem .6rem; text-align: left; border-bottom: 1px solid var(--line); }}
td {{ font-variant-numeric: tabular-nums; }}
pre {{ white-space: pre-wrap; padding: .8rem; border: 1px solid var(--line); border-radius: 4px; }}
p {{ color: var(--faint); }}
</style>
</head>
<body>
<h1>{title}</h1>
{plot}
<p>A dot is one way to run; the line joins those that nothing beats in memory and throughput at once; the dashed line is
the memory of the GPU. Numbers are the rows below. Hover a dot to read it. Ways to run that are slower than the best of
{grids} grids were not timed.</p>
<div class="scroll"><table>{table}</table></div>
<p>The best of them:</p>
<pre>{command}</pre>
<p>{counts} All figures are predictions.</p>
</body>
</html>
"""
