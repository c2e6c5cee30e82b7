"""Writing a plan: in threads, a file each, resumable after any interruption, visible only when whole."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType

from ckpt_convert.tensors import TensorSource
from ckpt_convert.writing.journal import Fingerprint
from ckpt_convert.writing.partial import Partial, claimed, has_entries, partial_folder
from ckpt_convert.writing.plan import OutputPlan
from ckpt_convert.writing.progress import Progress
from ckpt_convert.writing.writer import Writer
from harness.errors import ConfigError, Interrupted
from harness.units import show_bytes


def write(
    plan: OutputPlan,
    source: TensorSource,
    target: Path,
    *,
    resume: bool,
    threads: int,
    source_fingerprint: str,
    progress: Progress,
) -> None:
    """Write the plan's files from the rows of `source` to `target`, which appears when it is whole.

    With `resume` an interrupted conversion of the same source and plan goes on; the output's bytes are the same.
    ConfigError, before a byte is written, where the target must not be written to; EnvironmentProblem where it cannot
    be; Interrupted at Ctrl-C or SIGTERM.
    """
    require_name(target)
    fingerprint = Fingerprint(plan=plan.digest(), source=source_fingerprint)
    with _interruptible(target), claimed(target) as partial:
        if not (resume and partial.is_published and partial.journal.fingerprint == fingerprint):
            _refuse(partial, plan, fingerprint, resume=resume)
            writer = Writer(plan, source, partial, progress)
            writer.prepare(fingerprint)
            writer.write(threads)
            partial.publish()
        partial.remove()


def require_name(target: Path) -> None:
    """ConfigError for a target such as `.` or `..`, which can be no new folder."""
    if target.name in ("", ".."):
        raise ConfigError(f"{target}: name a new folder to write to")


def require_free(target: Path) -> None:
    """ConfigError where there is something at the target, or never can be a new folder."""
    require_name(target)
    if has_entries(target):
        raise ConfigError(f"{target} exists already: choose another target, or remove it to write it anew")


def _refuse(partial: Partial, plan: OutputPlan, fingerprint: Fingerprint, *, resume: bool) -> None:
    """Raise ConfigError unless the target is free, or holds only what `resume` may continue."""
    journal, folder = partial.journal, partial.folder
    require_free(partial.target)
    if journal.fingerprint and journal.fingerprint != fingerprint:
        raise ConfigError(
            f"{folder} holds an interrupted conversion of another source or with other options: give the same ones "
            "again to go on with --resume, remove the folder to begin anew, or choose another target"
        )
    if journal.fingerprint and not resume:
        done_bytes = sum(file.size_bytes for file in journal.finished.values())
        raise ConfigError(
            f"{folder} holds an interrupted conversion, {len(journal.finished)} files and {show_bytes(done_bytes)} of "
            f"{show_bytes(plan.size_bytes)} done: go on with --resume, or remove the folder to begin anew"
        )


@contextmanager
def _interruptible(target: Path) -> Iterator[None]:
    """SIGTERM, which Slurm sends at the end of a job's time, is taken like Ctrl-C; either is Interrupted."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    ours = current_thread() is main_thread()
    before = signal.signal(signal.SIGTERM, interrupt) if ours else None
    try:
        yield
    except KeyboardInterrupt as error:
        kept = partial_folder(target)
        raise Interrupted(f"{target}: interrupted; what is done is kept in {kept}: go on with --resume") from error
    finally:
        if ours:
            signal.signal(signal.SIGTERM, before)
