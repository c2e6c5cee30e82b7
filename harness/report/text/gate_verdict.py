"""A gate's verdict as text, and as JSON data."""

from dataclasses import asdict
from typing import Any

from harness.compare.gate import EXIT_CODES, GateVerdict
from harness.report.text.plain_table import plain_table

ONE_RUN = (
    "the baseline is one run: how far launches of the same job lie apart is not known;"
    " an envelope of several tells: moe-harness runs baseline RUN RUN… -o FILE"
)


def show_verdict(verdict: GateVerdict) -> str:
    """A line with the outcome, then a row a figure with its reason, then what is too good to go without a look."""
    rows = [
        (
            check.figure,
            check.outcome,
            "" if check.tolerance is None else f"± {check.tolerance * 100:.4g} %",
            check.reason,
        )
        for check in verdict.checks
    ]
    suspicious = [f"suspicious: {check.figure}: {check.suspicious}" for check in verdict.checks if check.suspicious]
    count = len(verdict.baseline_runs)
    head = f"{verdict.outcome}: {verdict.run_id} against a baseline of {count} run{'' if count == 1 else 's'}"
    return "\n".join([head, plain_table(rows), *suspicious])


def verdict_data(verdict: GateVerdict) -> dict[str, Any]:
    """The same as JSON data; shares, not percent."""
    return {"outcome": verdict.outcome, "exit_code": EXIT_CODES[verdict.outcome], **asdict(verdict)}
