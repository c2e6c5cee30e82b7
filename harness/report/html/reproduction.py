"""How to run a run again: the command, the container, the revisions."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.report.html.page_table import RunMark, run_mark
from harness.report.reported_run import ReportedRun
from harness.runs.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What a reader types, what every rank ran, and facts by their names."""

    run: int
    label: str
    mark: RunMark
    command: str
    ranks: str
    facts: Sequence[tuple[str, str]]


def reproduction(run: ReportedRun, label: str, place: int) -> Reproduction:
    """Of one run. A setting that is set in a file is not typed: it is in that revision of the files."""
    return Reproduction(
        run=place,
        label=label,
        mark=run_mark(place),
        command=launch_command(run.record),
        ranks=shlex.join(run.record.job.command),
        facts=[(name, text) for name, text in _facts(run) if text],
    )


def launch_command(record: RunRecord) -> str:
    """`moe-harness launch MODEL=… -- --flag …`: what its user typed, or had exported."""
    typed = {**_by_layer(record, "environment"), **_by_layer(record, "command line")}
    words = [f"{name}={_text(value)}" for name, value in typed.items()]
    on = [] if record.job.on == "local" else ["--on", record.job.on]
    more = MegatronArgs(_by_layer(record, "extra flags")).argv()
    return shlex.join(["moe-harness", "launch", *on, *words, *(["--", *more] if more else [])])


def _by_layer(record: RunRecord, layer: str) -> dict[str, ArgValue]:
    """What a layer wrote and nothing overrode."""
    found: dict[str, ArgValue] = {}
    for name, history in record.resolved.origins.items():
        value = history[-1].value if history else None
        if history and history[-1].origin.layer == layer and value is not None:
            found[name] = value if isinstance(value, str | bool | tuple) else str(value)
    return found


def _text(value: ArgValue) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else " ".join(value)


def _facts(run: ReportedRun) -> list[tuple[str, str]]:
    record = run.record
    revision = record.revision.commit or ""
    dirty = ", with changed files" if record.revision.dirty else ""
    job = f"{record.job.job_id}{f' on {record.job.cluster}' if record.job.cluster else ''}" if record.job.job_id else ""
    return [
        ("run", record.run_id),
        ("status", record.status),
        ("comment", record.resolved.text("COMMENT")),
        ("revision of moe-harness", f"{revision}{dirty}" if revision else ""),
        ("container", record.resolved.text("CONTAINER_IMAGE") or "none"),
        ("Megatron-Core", record.resolved.text("MCORE_RELEASE_VERSION")),
        ("versions", ", ".join(f"{name} {text}" for name, text in record.versions.items())),
        ("ranks", f"{record.job.nodes} × {record.job.gpus_per_node} ({record.job.on})"),
        ("hosts", ", ".join(record.hosts)),
        ("Slurm job", job),
        ("started", record.started or record.created),
        ("ended", record.ended or ""),
        ("folder", str(run.folder)),
    ]
