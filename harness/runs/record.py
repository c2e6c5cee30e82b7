"""A run's record: all that is needed to believe, repeat and compare its result."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from harness.config.provenance import Resolved
from harness.runs.revision import Revision
from harness.training.effective import Difference, InEffect, Setup
from harness.training.log.samples import StepSample
from harness.training.summary import Summary

SCHEMA_VERSION = 2

JOB_ID = re.compile(r"\d+(_\d+)?")
"""A job of Slurm, or a task of an array."""

type Status = Literal["submitted", "running", "completed", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """How the run was launched: `on` is local, interactive or slurm; `command` is what was executed.

    `job_id` and `cluster` are Slurm's answer; a record without `job_id` was never known to be submitted.
    """

    on: str
    nodes: int
    gpus_per_node: int
    command: tuple[str, ...]
    host: str
    job_id: str | None = None
    cluster: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One start of a run's job by Slurm. Times as the record's; `state` is Slurm's word, e.g. COMPLETED or NODE_FAIL.

    `retried` says why the next attempt was asked for and `excluded` which nodes it was to avoid; `resumed_from` is
    the step of the checkpoint that it began with, None where it began anew.
    """

    number: int
    job_id: str
    state: str
    nodes: tuple[str, ...] = ()
    started: str | None = None
    ended: str | None = None
    exit_code: int | None = None
    resumed_from: int | None = None
    retried: str | None = None
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why a run failed, as its signature tells it, and what to change. `name` is the signature's; `evidence` its line.

    `ranks` and `nodes` are those the evidence speaks of.
    """

    name: str
    text: str
    change: str
    evidence: str | None = None
    ranks: tuple[int, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunError:
    """How a run ended badly: the exit code, the failing rank's own traceback, and the cause where it is known.

    `exit_codes` holds each rank's own, by rank; a rank that left none is not in it.
    """

    exit_code: int | None = None
    rank: int | None = None
    traceback: str | None = None
    exit_codes: Mapping[str, int] = field(default_factory=dict)
    cause: Cause | None = None


@dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """The sweep that a run belongs to, and its point there, e.g. `EP=4 MBS=2`."""

    sweep: str
    point: str


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run. Times are UTC in ISO 8601; `versions` are those of Megatron, torch, Transformer Engine, CUDA, ….

    `predicted` holds figures by name, of the cost model, where one was asked. `attempts` are Slurm's starts of it.
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
    attempts: tuple[Attempt, ...] = ()
    sweep: SweepPoint | None = None
    paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def seq_len(self) -> int | None:
        """Tokens of a sequence, where the flags say it."""
        return self.resolved.megatron_args.integer("--seq-length") or None


UNFINISHED: frozenset[Status] = frozenset({"submitted", "running"})
"""Statuses that will change by themselves."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"


def utc_now() -> str:
    """The time now, as records write it: `2026-01-31T12:00:00Z`."""
    return datetime.now(UTC).strftime(_TIME)


def utc_at(moment_s: float) -> str:
    """Seconds since the epoch, as records write them."""
    return datetime.fromtimestamp(moment_s, UTC).strftime(_TIME)


def epoch_of(time: str) -> int:
    """A record's time in seconds since the epoch; ValueError if it is none."""
    if len(time) != len("2026-01-31T12:00:00Z") or not time.endswith("Z"):
        raise ValueError(f"{time!r} is no time as records have it")
    return int(datetime.fromisoformat(time).timestamp())
