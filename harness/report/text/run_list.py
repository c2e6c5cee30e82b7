"""Runs as a table, a row each."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness.report.text.figure import show_figure
from harness.report.text.plain_table import MISSING, plain_table
from harness.report.text.training import show_tflops
from harness.runs.columns import Row
from harness.units import show_bytes, show_seconds

DEFAULT_COLUMNS = (
    "run_id",
    "status",
    "model",
    "gpus",
    "step_time_s",
    "tokens_per_s_per_gpu",
    "tflops_per_gpu",
    "loss",
)
_TITLES = {
    "run_id": "run",
    "gpus": "GPUs",
    "step_time_s": "step time",
    "tokens_per_s_per_gpu": "tokens/s/GPU",
    "tflops_per_gpu": "TFLOP/s/GPU",
    "mfu": "MFU",
    "peak_memory_bytes": "peak memory",
}
_ENDINGS: Mapping[str, Callable[[Any], str]] = {
    "loss": "{:.4f}".format,
    "loss_first": "{:.4f}".format,
    "mfu": "{:.1%}".format,
    "tokens_per_s": "{:,.0f}".format,
    "tokens_per_s_per_gpu": "{:,.0f}".format,
    "bytes_per_s": lambda value: f"{show_bytes(value)}/s",
    "tflops_per_gpu": show_tflops,
    "tflops_per_gpu_printed": "{:.1f}".format,
    "_bytes": show_bytes,
    "_s": show_seconds,
}
"""How a column is shown, by the end of its name; the first that fits."""


def show_rows(
    rows: Iterable[Row], columns: Sequence[str] = DEFAULT_COLUMNS, pending_reasons: Mapping[str, str] | None = None
) -> str:
    """One row a run; `pending_reasons` are those of submitted runs, by run id."""
    formats = {name: _format(name) for name in columns}
    why = pending_reasons or {}
    cells = (
        [
            f"{row[name]} ({why[row['run_id']]})" if name == "status" and row["run_id"] in why else show(row[name])
            for name, show in formats.items()
        ]
        for row in rows
    )
    return plain_table(cells, [_TITLES.get(name, name) for name in columns])


def _format(column: str) -> Callable[[Any], str]:
    show = next((show for ending, show in _ENDINGS.items() if column.endswith(ending)), _show_plain)
    return lambda value: MISSING if value is None else show(value)


def _show_plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return show_figure(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def show_values(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Columns of any names and values, as they are but for figures of many digits."""
    return plain_table(([MISSING if it is None else _show_plain(it) for it in row] for row in rows), names)
