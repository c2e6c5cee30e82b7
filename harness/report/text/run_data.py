"""A run as JSON data for programs: what it is, how it stands, and its figures in bytes and seconds."""

from typing import Any

from harness.runs.json_codec import encode
from harness.runs.store import StoredRun


def run_data(run: StoredRun) -> dict[str, Any]:
    """One object; what is not known is null."""
    record = run.record
    summary, cause = record.summary, record.error.cause if record.error else None
    data: dict[str, Any] = encode(
        {
            "run_id": record.run_id,
            "status": record.status,
            "model": record.resolved.text("MODEL"),
            "on": record.job.on,
            "job_id": record.job.job_id,
            "created": record.created,
            "started": record.started,
            "ended": record.ended,
            "ranks": record.job.nodes * record.job.gpus_per_node,
            "attempts": len(record.attempts),
            "cause": {"name": cause.name, "text": cause.text, "change": cause.change} if cause else None,
            "sweep": record.sweep,
            "step_time_s": summary.median_s if summary else None,
            "tokens_per_s_per_gpu": summary.tokens_per_s_per_gpu if summary else None,
            "tflops_per_gpu": summary.tflops_per_gpu if summary else None,
            "peak_memory_bytes": summary.peak_memory_bytes if summary else None,
            "loss": summary.loss_last if summary else None,
            "predicted": record.predicted,
            "folder": str(run.folder.absolute()),
        }
    )
    return data
