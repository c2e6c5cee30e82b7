"""A run's record: all that is needed to believe, repeat and compare its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from harness.config.provenance import Resolved
from harness.results.effective import Difference, InEffect, Setup
from harness.results.revision import Revision
from harness.results.samples import StepSample
from harness.results.stats import Summary

SCHEMA_VERSION = 1

type Status = Literal["submitted", "running", "completed", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """How the run was launched: `on` is local, interactive or slurm; `command` is what was executed."""

    on: str
    nodes: int
    gpus_per_node: int
    command: tuple[str, ...]
    host: str


@dataclass(frozen=True, kw_only=True)
class RunError:
    """How a run ended badly: the exit code, and the failing rank's own traceback."""

    exit_code: int | None = None
    rank: int | None = None
    traceback: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run. Times are UTC in ISO 8601; `versions` are those of Megatron, torch, Transformer Engine, CUDA, ….

    `predicted` holds figures by name, of the cost model, where one was asked.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    status: Status
    created: str
    started: str | None = None
    ended: str | None = None
    revision: Revision
    resolved: Resolved
    job: Job
    versions: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    asked: Setup
    in_effect: InEffect | None = None
    differences: tuple[Difference, ...] = ()
    predicted: Mapping[str, float] | None = None
    samples: tuple[StepSample, ...] = ()
    summary: Summary | None = None
    error: RunError | None = None
    paths: Mapping[str, str] = field(default_factory=dict)


def utc_now() -> str:
    """The time now, as records write it: `2026-01-31T12:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
