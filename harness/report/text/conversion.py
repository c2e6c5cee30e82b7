"""Show the result of a conversion: as rows, in the list of runs, and as data."""

from typing import Any

from harness.conversion.result import ConversionResult
from harness.report.text.kind_view import KindView
from harness.report.text.plain_table import MISSING, show_known
from harness.units import show_bytes, show_seconds


def _rows(result: ConversionResult) -> list[tuple[str, str]]:
    facts = result.facts
    if facts is None:
        return [("results", MISSING)]
    return [
        ("model", facts.family),
        ("source", f"{facts.source} ({facts.source_format}), {show_bytes(facts.read_bytes)}"),
        ("target", f"{result.target} ({facts.target_format}, {facts.dtype}), {show_bytes(facts.write_bytes)}"),
        ("written", f"{show_known(result.done_bytes, show_bytes)} of {show_known(result.total_bytes, show_bytes)}"),
        ("speed", f"{show_known(result.bytes_per_s, show_bytes)}/s" if result.bytes_per_s else MISSING),
        ("time", show_known(result.elapsed_s, show_seconds)),
    ]


def _data(result: ConversionResult | None) -> dict[str, Any]:
    facts = result.facts if result else None
    return {
        "source": facts.source if facts else None,
        "target": result.target if result else None,
        "written_bytes": result.done_bytes if result else None,
        "total_bytes": result.total_bytes if result else None,
        "bytes_per_s": result.bytes_per_s if result else None,
        "elapsed_s": result.elapsed_s if result else None,
    }


CONVERSION_VIEW = KindView(rows=_rows, cells=lambda _result: {}, data=_data)
