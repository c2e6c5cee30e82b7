"""A run's record: all that is needed to believe, repeat and compare its result."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from harness.config.provenance import Resolved
from harness.runs.json_codec import DECODED_APART
from harness.runs.kind import Result
from harness.runs.revision import Revision

SCHEMA_VERSION = 3

JOB_ID = re.compile(r"\d+(_\d+)?")
"""A job of Slurm, `4711`, or a task of an array, `4711_3`."""

type Status = Literal["submitted", "running", "completed", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """How the run was launched: `on` is local, interactive or slurm; `command` is what was executed.

    `job_id` and `cluster` are Slurm's answer; a record without `job_id` was never known to be submitted. `task` is the
    run's index in the array that it was submitted with, None outside an array.
    """

    on: str
    nodes: int
    gpus_per_node: int
    command: tuple[str, ...]
    host: str
    job_id: str | None = None
    cluster: str | None = None
    task: int | None = None

    @property
    def array_id(self) -> str | None:
        """The job id that all tasks of the run's array share: `4711` of `4711_3`; None outside an array."""
        base, is_task, _ = (self.job_id or "").partition("_")
        return base if is_task else None


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
class CampaignItem:
    """The campaign that a run belongs to, and its item there: of a sweep the point, e.g. `EP=4 MBS=2`.

    `repeat` counts the items of one point from 1, None where it has one alone; `EP=4 MBS=2 REPEAT=3`.
    """

    campaign: str
    item: str
    repeat: int | None = None

    @property
    def point(self) -> str:
        """The item's name without its repeat: what all repeats share; empty where the campaign is of one point."""
        return self.item if self.repeat is None else self.item.removesuffix(f"REPEAT={self.repeat}").rstrip()


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run: a header that all kinds share, and the result of its kind.

    Times are UTC in ISO 8601; `versions` are those of Megatron, torch, Transformer Engine, CUDA, …. `attempts` are
    Slurm's starts of it. `kind` says of what type `result` is (`kinds.KINDS`), None where there is nothing yet.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    kind: str
    status: Status
    created: str
    started: str | None = None
    ended: str | None = None
    revision: Revision
    resolved: Resolved
    job: JobRecord
    versions: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    error: RunError | None = None
    attempts: tuple[Attempt, ...] = ()
    campaign: CampaignItem | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    result: Result | None = field(default=None, metadata=DECODED_APART)

    @property
    def model(self) -> str | None:
        """The model: the one that the result found, or else the one that the configuration names."""
        return (self.result and self.result.model) or self.resolved.text("MODEL") or None

    @property
    def predicted(self) -> Mapping[str, float] | None:
        """What the cost model foresaw of the run, by figure, where it was asked."""
        return self.result.predicted if self.result else None


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
