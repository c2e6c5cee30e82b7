"""Show the result of a conversion: as rows, in the list of runs, and as data."""

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


CONVERSION_VIEW = KindView(
    rows=_rows, data=("source", "target", "written_bytes", "total_bytes", "bytes_per_s", "elapsed_s")
)
