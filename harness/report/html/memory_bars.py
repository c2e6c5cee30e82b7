"""The peak memory of each run as a bar, beside what was predicted and what its GPU has."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.cost.memory import ERROR_BAND
from harness.report.html.page_table import RunMark, run_mark
from harness.report.reported_run import ReportedRun
from harness.units import show_bytes

_KINDS = {"rss": "resident memory of the fullest rank", "cuda_allocated": "allocated on the fullest GPU"}


@dataclass(frozen=True, kw_only=True)
class MemoryBar:
    """A bar: lengths are shares of the longest of all, None where a figure is not known."""

    run: int
    label: str
    mark: RunMark
    measured: float
    predicted: float | None
    band: tuple[float, float] | None
    text: str
    kind: str
    note: str


def memory_bars(runs: Sequence[ReportedRun], labels: Sequence[str]) -> list[MemoryBar]:
    """A bar for each run whose peak is known; the band is the error that predictions of memory have."""
    known = [(at, run, *_figures(run)) for at, run in enumerate(runs)]
    longest = max((max(peak or 0, (guess or 0) * (1 + ERROR_BAND)) for _, _, peak, guess in known), default=0)
    bars = []
    for at, run, peak, guess in known:
        if not peak:
            continue
        kind = (run.result.summary.peak_memory_kind if run.result and run.result.summary else None) or ""
        bars.append(
            MemoryBar(
                run=at,
                label=labels[at],
                mark=run_mark(at),
                measured=peak / longest,
                predicted=guess / longest if guess else None,
                band=(guess * (1 - ERROR_BAND) / longest, guess * (1 + ERROR_BAND) / longest) if guess else None,
                text=show_bytes(peak),
                kind=_KINDS.get(kind, kind),
                note=f"predicted {show_bytes(guess)}" if guess else "",
            )
        )
    return bars


def _figures(run: ReportedRun) -> tuple[float | None, float | None]:
    """Bytes: measured and predicted."""
    if run.result is None:
        return None, None
    summary = run.result.summary
    return summary.peak_memory_bytes if summary else None, (run.result.predicted or {}).get("peak_memory_bytes")
