"""Make the error of a failed run: the first failing rank, its own error text, and the cause."""

import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.launch.attempts import AttemptFacts, read_exits
from harness.launch.exit_code import TERMINATED, TIME_IS_UP
from harness.launch.rundir import RunPaths
from harness.launch.slurm.job_state import JobState
from harness.launch.slurm.time_limit import parse_time_limit_s
from harness.runs.record import Cause, RunError, RunRecord
from harness.runs.triage.cause import find_cause
from harness.runs.triage.evidence import Evidence
from harness.runs.triage.internal_causes import FOLDER_REMOVED, UNKNOWN, lost, not_started
from harness.runs.triage.log_search import matching_lines
from harness.runs.triage.rank_error import RankError, find_rank_error, find_rank_error_in_log

_NOT_STARTED = 128 + 53
"""Slurm's own code for a script whose log it could not open."""

_STARTING_TAKES_S = 60
"""The time that a job may run before its script does: prologs, and the ranks of an attempt before."""


def failure_of(record: RunRecord, paths: RunPaths, last: AttemptFacts | None, job: JobState | None) -> RunError:
    """Make the error of a failed Slurm run from its last attempt's facts and log, and its job's last state."""
    if last is None and job is None:
        return RunError(cause=lost(record, "never began, as far as can be seen here"))
    if last is None and job and not paths.script.exists():
        return RunError(exit_code=job.exit_code, cause=FOLDER_REMOVED)
    if last is None and job and job.exit_code == _NOT_STARTED:
        return RunError(exit_code=job.exit_code, cause=not_started(record, job.nodes))
    facts = last or AttemptFacts(number=0)
    exits = read_exits(paths, facts.number)
    error = _error(
        record,
        paths,
        find_rank_error_in_log(paths.log, exits, start_bytes=facts.log_start_bytes),
        {rank: it.code for rank, it in exits.items()},
        start_bytes=facts.log_start_bytes,
        exit_code=facts.exit_code if facts.exit_code is not None else (job.exit_code if job else None),
        slurm_state="TIMEOUT" if ran_out_of_time(record, facts, job) else _slurm_state(record, job),
        nodes=record.attempts[-1].nodes if record.attempts else (),
    )
    if _saved_in_time(facts):
        return replace(
            error, rank=None, traceback=None, cause=_time_limit_cause(paths, facts.saved_step) or error.cause
        )
    if error.cause and error.cause.name == UNKNOWN.name and error.exit_code is None and job is None:
        return replace(error, cause=lost(record, "left no word of its end"))
    return error


def failure_here(record: RunRecord, paths: RunPaths, exit_code: int, *, raised: str | None = None) -> RunError:
    """Make the error of a run that failed on this node from the output of its ranks and of the launcher.

    A run in the recording process has no ranks: its error text is what that process `raised`.
    """
    rank_error = find_rank_error(paths) if raised is None else RankError(rank=None, exit_code=None, text=raised)
    codes = {} if rank_error.rank is None or rank_error.exit_code is None else {rank_error.rank: rank_error.exit_code}
    return _error(record, paths, rank_error, codes, exit_code=exit_code, nodes=(record.job.host,))


def _error(
    record: RunRecord,
    paths: RunPaths,
    rank_error: RankError,
    codes: Mapping[int, int],
    *,
    exit_code: int | None,
    nodes: Sequence[str],
    start_bytes: int = 0,
    slurm_state: str | None = None,
) -> RunError:
    """Make the error from the first failing rank, the log from `start_bytes` on, and Slurm's state; `codes` by rank."""
    evidence = Evidence(
        log_lines=matching_lines(paths.log, start_bytes=start_bytes),
        exit_codes=codes,
        first_rank=rank_error.rank,
        # Under Slurm the last lines of all ranks are no rank's own words, and stand in the log anyway.
        traceback=rank_error.text if rank_error.rank is not None or slurm_state is None else None,
        slurm_state=slurm_state,
        free_bytes=shutil.disk_usage(paths.root).free if paths.root.is_dir() else None,
        predicted=record.predicted,
        ranks_per_node=record.job.gpus_per_node,
        nodes=nodes,
    )
    return RunError(
        exit_code=exit_code if rank_error.rank is None else codes.get(rank_error.rank, exit_code),
        rank=rank_error.rank,
        traceback=rank_error.text or None,
        exit_codes={str(rank): code for rank, code in codes.items()},
        cause=find_cause(evidence),
    )


def _saved_in_time(facts: AttemptFacts) -> bool:
    """Whether the ranks ended well because they were asked to, ahead of the time limit."""
    return facts.exit_code == TIME_IS_UP and facts.signals[-1:] == ("USR1",)


def ran_out_of_time(record: RunRecord, facts: AttemptFacts, job: JobState | None) -> bool:
    """Whether an attempt ended for its time limit: warned ahead of it, or at it where Slurm says nothing of it.

    Megatron may not have listened yet when it was asked. Slurm's clock runs before the script's begins.
    """
    if facts.exit_code not in (TIME_IS_UP, TERMINATED):
        return False
    if "USR1" in facts.signals or job is not None:
        return "USR1" in facts.signals
    try:
        limit_s = parse_time_limit_s(record.resolved.text("RUN_TIME"))
    except ValueError:  # an old record may lack it
        return False
    late_s = min(_STARTING_TAKES_S, limit_s // 10)
    return bool(facts.started_s and facts.ended_s and facts.ended_s - facts.started_s >= limit_s - late_s)


def _time_limit_cause(paths: RunPaths, step: int | None) -> Cause | None:
    """The cause of a run that saved before its time was up, with how to resume it; None if it saved nothing."""
    if step is None:
        return None
    folder = shlex.quote(str(paths.root))
    return Cause(
        name="time-limit",
        text=f"The job's time was nearly up: it saved at step {step} and ended.",
        change=f'To go on from there: cd {folder} && RUN_DIR=$PWD sbatch --output="$PWD/log" script.sh',
    )


def _slurm_state(record: RunRecord, job: JobState | None) -> str:
    return record.attempts[-1].state if record.attempts else (job.state_text if job else "UNKNOWN")
