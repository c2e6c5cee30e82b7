"""Scaling as tables, and as JSON data."""

from collections.abc import Sequence
from typing import Any

from harness.compare.scaling import ScaledPoint, Scaling, ScalingSeries
from harness.report.text.plain_table import plain_table, show_known
from harness.units import show_seconds

_HEADERS = ("GPUs", "GBS", "MBS", "mapping", "runs", "step time", "tokens/s", "speed-up", "efficiency")
_PREDICTED = ("predicted step", "predicted efficiency")


def show_scaling(found: Scaling) -> str:
    """A table a series, the smallest first; what was predicted beside it where it was."""
    tables = [f"{_title(series)}\n{_table(series.points)}" for series in found.series]
    return "\n\n".join([f"{found.model}: efficiency against the fewest GPUs", *tables, *_lines(found.left_out)])


def scaling_data(found: Scaling) -> dict[str, Any]:
    """The same as JSON data; seconds and shares."""
    return {
        "model": found.model,
        "series": [
            {
                "kind": series.kind,
                "batch": float(series.batch),
                "points": [_point_data(scaled) for scaled in series.points],
            }
            for series in found.series
        ],
        "left_out": list(found.left_out),
    }


def _title(series: ScalingSeries) -> str:
    if series.kind == "strong":
        return f"strong scaling, one global batch of {int(series.batch):,}"
    return f"weak scaling, a global batch of {float(series.batch):g} a GPU"


def _table(points: Sequence[ScaledPoint]) -> str:
    predicted = any(scaled.point.predicted_step_s for scaled in points)
    rows = [_row(scaled, predicted=predicted) for scaled in points]
    return plain_table(rows, (*_HEADERS, *_PREDICTED) if predicted else _HEADERS)


def _row(scaled: ScaledPoint, *, predicted: bool) -> tuple[str, ...]:
    point = scaled.point
    measured = (
        str(point.gpus),
        str(point.global_batch),
        show_known(point.micro_batch, str),
        point.mapping,
        str(len(point.run_ids)),
        show_seconds(point.step_s),
        f"{point.tokens_per_s:,.0f}",
        f"{scaled.speedup:.2f}",
        f"{scaled.efficiency:.1%}",
    )
    foreseen = (
        show_known(point.predicted_step_s, show_seconds),
        show_known(scaled.predicted_efficiency, "{:.1%}".format),
    )
    return (*measured, *foreseen) if predicted else measured


def _lines(sentences: Sequence[str]) -> list[str]:
    return ["\n".join(f"left out: {it}" for it in sentences)] if sentences else []


def _point_data(scaled: ScaledPoint) -> dict[str, Any]:
    point = scaled.point
    return {
        "gpus": point.gpus,
        "global_batch": point.global_batch,
        "micro_batch": point.micro_batch,
        "mapping": point.mapping,
        "runs": list(point.run_ids),
        "step_s": point.step_s,
        "tokens_per_s": point.tokens_per_s,
        "speedup": scaled.speedup,
        "efficiency": scaled.efficiency,
        "predicted_step_s": point.predicted_step_s,
        "predicted_efficiency": scaled.predicted_efficiency,
    }
