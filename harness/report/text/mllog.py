"""A run as lines of MLPerf's logging format (mlperf_logging's mllog): `:::MLLOG {"namespace": "", "time_ms": …}`.

The keys are those of MLPerf training where it has one. This is the run in that format, not a submission: no target
quality is held.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Literal

from harness.report.reported_run import ReportedRun
from harness.report.text.publication_table import publication_row
from harness.runs.record import UNFINISHED, epoch_of
from harness.training.log.samples import StepSample

type _Event = Literal["INTERVAL_START", "INTERVAL_END", "POINT_IN_TIME"]

_OF_RECORD: dict[str, Any] = {"file": "record.json", "lineno": 1}


def as_mllog(run: ReportedRun) -> str:
    """The lines of one run, in the order of time. A step's time is its line's in the log, in the log's own zone."""
    return "".join(f":::MLLOG {json.dumps(line, allow_nan=False)}\n" for line in _lines(run))


def _lines(run: ReportedRun) -> Iterator[dict[str, Any]]:
    record, row = run.record, publication_row(run.record)
    begun_ms = epoch_of(record.started or record.created) * 1000
    times_ms = _times_ms(run.samples, begun_ms)
    first_ms = times_ms[0] - round(run.samples[0].step_s * 1000) if times_ms else begun_ms
    stated = {
        "submission_benchmark": row["Model"],
        "submission_platform": row["System"],
        "number_of_ranks": row["#GPUs"],
        "global_batch_size": row["GBS"],
        "max_sequence_length": row["SEQ_LEN"],
        "seed": record.resolved.megatron_args.text("--seed") or None,
    }
    yield _line("init_start", None, begun_ms, "INTERVAL_START")
    for key, value in stated.items():
        if value is not None:
            yield _line(key, value, begun_ms)
    yield _line("init_stop", None, max(begun_ms, first_ms), "INTERVAL_END")
    yield _line("run_start", None, max(begun_ms, first_ms), "INTERVAL_START")
    for at, (sample, time_ms) in enumerate(zip(run.samples, times_ms, strict=True), start=1):
        metadata = {"file": "samples.jsonl", "lineno": at, "step": sample.iteration}
        if sample.consumed_samples is not None:
            metadata["samples_count"] = sample.consumed_samples
        yield _line("tracked_stats", _stats(sample), max(begun_ms, time_ms), metadata=metadata)
    if record.status not in UNFINISHED:
        last_ms = max(times_ms[-1] if times_ms else 0, epoch_of(record.ended) * 1000 if record.ended else begun_ms)
        status = "success" if record.status == "completed" else "aborted"
        yield _line("run_stop", None, last_ms, "INTERVAL_END", metadata=_OF_RECORD | {"status": status})


def _line(
    key: str, value: Any, time_ms: int, event: _Event = "POINT_IN_TIME", metadata: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "namespace": "",
        "time_ms": time_ms,
        "event_type": event,
        "key": key,
        "value": value,
        "metadata": metadata or _OF_RECORD,
    }


def _stats(sample: StepSample) -> dict[str, float]:
    """What is known and finite of a step; `throughput` counts sequences a second of all ranks."""
    figures = {
        "train_loss": sample.loss,
        "train_step_time": sample.step_s,
        "throughput": sample.global_batch_size / sample.step_s if sample.global_batch_size and sample.step_s else None,
    }
    return {name: value for name, value in figures.items() if value is not None and isfinite(value)}


def _times_ms(samples: tuple[StepSample, ...], begun_ms: int) -> list[int]:
    """When each line was printed; where the log does not say it, the steps' own times one after another."""
    printed = [_moment_ms(sample.printed_at) for sample in samples]
    known = [time for time in printed if time is not None]
    if len(known) == len(printed) and known == sorted(known):
        return known
    times, now = [], float(begun_ms)
    for sample in samples:
        now += sample.step_s * 1000
        times.append(round(now))
    return times


def _moment_ms(text: str | None) -> int | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
