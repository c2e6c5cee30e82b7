"""Convert a run to JSON data for programs: its identity, status, and figures in bytes and seconds."""

from typing import Any

from harness.report.text.kind_views import VIEWS
from harness.runs.json_codec import encode
from harness.runs.store import StoredRun


def run_data(run: StoredRun) -> dict[str, Any]:
    """One object; what is not known is null."""
    record = run.record
    cause = record.error.cause if record.error else None
    campaign = record.campaign
    data: dict[str, Any] = encode(
        {
            "run_id": record.run_id,
            "kind": record.kind,
            "status": record.status,
            "model": record.model,
            "on": record.job.on,
            "job_id": record.job.job_id,
            "created": record.created,
            "started": record.started,
            "ended": record.ended,
            "ranks": record.job.nodes * record.job.gpus_per_node,
            "attempts": len(record.attempts),
            "cause": {"name": cause.name, "text": cause.text, "change": cause.change} if cause else None,
            "sweep": {"sweep": campaign.campaign, "point": campaign.item} if campaign else None,
            **VIEWS[record.kind].data(record.result),
            "predicted": record.predicted,
            "folder": str(run.folder.absolute()),
        }
    )
    return data
