"""Check the converted checkpoint that a job starts from: problems, which keep it from loading, and notices."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness.checkpoint.files import TRACKER
from harness.checkpoint.folder import read_tracker, tracked_folder
from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.job import Job
from harness.launch.script.quoting import RUN_DIR

if TYPE_CHECKING:  # a job that starts from no weights here starts faster without what judges them
    from harness.launch.checkpoint_record import LoadedCheckpoint


def checkpoint_problems(resolved: Resolved, job: Job) -> list[str]:
    """List the flags that make the job misread its checkpoint, and why it cannot load it; none without a record."""
    try:
        loaded = _loaded(resolved, job)
    except ConfigError as error:
        return [f"{resolved.at('LOAD_PATH')}LOAD_PATH: {error}"]
    if loaded is None:
        return []
    from harness.launch.checkpoint_record import problems_of

    return problems_of(loaded, resolved)


def checkpoint_notices(resolved: Resolved, job: Job) -> list[str]:
    """List what is worth knowing of a checkpoint that can be loaded, or that this machine cannot see."""
    try:
        loaded = _loaded(resolved, job)
    except ConfigError:
        return []
    if loaded is None:
        return _unseen(resolved, job)
    from harness.launch.checkpoint_record import notices_of

    return notices_of(loaded, resolved)


def _loaded(resolved: Resolved, job: Job) -> "LoadedCheckpoint | None":
    """The checkpoint that the job starts from; None if this machine does not see it, or it has no record.

    ConfigError says what is wrong with a tracker or a record that is there.
    """
    load = _folder(resolved, job)
    tracked = read_tracker(load) if load else None
    if load is None or tracked is None:
        return None
    if (name := tracked_folder(tracked)) is None:
        raise ConfigError(f"{TRACKER} says {tracked!r}, so Megatron would load nothing; allowed: release, or a step")
    from harness.launch.checkpoint_record import read_recorded

    return read_recorded(load / name)


def _folder(resolved: Resolved, job: Job) -> Path | None:
    """`--load` as this machine names it; None without one, for the run's own, and for one in the image."""
    load_path = resolved.megatron_args.text("--load")
    return job.host_path(load_path) if load_path and RUN_DIR not in load_path else None


def _unseen(resolved: Resolved, job: Job) -> list[str]:
    """Slurm's nodes may see more than this machine; what is missing elsewhere is a problem, not a notice."""
    load_path = resolved.megatron_args.text("--load")
    folder = _folder(resolved, job)
    if job.executor != "slurm" or not load_path or RUN_DIR in load_path or (folder and folder.exists()):
        return []
    return [f"{load_path} is not to be seen from here: whether the flags fit the checkpoint was not checked"]
