"""Convert a run to JSON data for programs: its identity, status, and figures in bytes and seconds."""

from typing import Any

from harness.report.text.kind_views import VIEWS
from harness.runs.columns import Row, row_of
from harness.runs.store import StoredRun


def run_data(run: StoredRun) -> dict[str, Any]:
    """One object; what is not known is null."""
    return row_data(row_of(run))


def row_data(row: Row) -> dict[str, Any]:
    """The object of a run's row."""
    cause, campaign = row["cause"], row["campaign"]
    return {
        **{name: row[name] for name in ("run_id", "kind", "status", "model")},
        "on": row["executor"],
        **{name: row[name] for name in ("job_id", "created", "started", "ended")},
        "ranks": row["nodes"] * row["gpus_per_node"],
        "attempts": row["attempts"],
        "cause": None if cause is None else {"name": cause, "text": row["cause_text"], "change": row["cause_change"]},
        "sweep": None if campaign is None else {"sweep": campaign, "point": row["item"]},
        **{name: row[name] for name in VIEWS[row["kind"]].data},
        "predicted": row["predicted"],
        "folder": row["folder"],
    }
