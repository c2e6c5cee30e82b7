"""An opened run whose program is this very process, with its record."""

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from harness.config.provenance import Resolved
from harness.errors import ConfigError, HarnessError, Interrupted
from harness.launch.run import Outcome, Run
from harness.launch.supervisor_lock import supervising
from harness.runs import recorder
from harness.runs.log_reading import reader_of
from harness.runs.submission import forget

type WriteLine = Callable[[str], None]
"""Takes one line of the run's log."""

_FAILED = 1


def run_in_process(run: Run, resolved: Resolved, work: Callable[[WriteLine], None]) -> None:
    """Do the work of a run here and now; the lines that it writes are the run's log.

    What `work` raises is raised again once the record tells of it. Ctrl-C and SIGTERM end the run as cancelled. A
    ConfigError says that the work could not begin: nothing is left of the run then.
    """
    outcome, raised = Outcome(status="failed", exit_code=_FAILED), ""
    with supervising(run.paths), run.paths.log.open("a", encoding="utf-8", errors="backslashreplace") as log:
        record = recorder.begin(run, resolved)
        reader = reader_of(record)

        def write(line: str) -> None:
            log.write(f"{line}\n")
            log.flush()
            reader.feed(line)

        try:
            with _term_as_ctrl_c():
                work(write)
            outcome = Outcome(status="completed", exit_code=0)
        except BaseException as error:
            outcome = _outcome_of(error)
            if outcome.exit_code == _FAILED:
                raised = _error_text(error)
                write(raised)
            raise
        finally:  # whatever happens, no record says "running" for ever
            if outcome.exit_code == ConfigError.exit_code:
                forget(run.paths.root)
            else:
                recorder.finish(run.paths, record, reader, outcome, raised=raised)


def _outcome_of(error: BaseException) -> Outcome:
    if isinstance(error, KeyboardInterrupt | Interrupted):
        return Outcome(status="cancelled", exit_code=Interrupted.exit_code)
    if isinstance(error, ConfigError):
        return Outcome(status="failed", exit_code=ConfigError.exit_code)
    return Outcome(status="failed", exit_code=_FAILED)


def _error_text(error: BaseException) -> str:
    return str(error) if isinstance(error, HarnessError) else "".join(traceback.format_exception(error)).rstrip()


@contextmanager
def _term_as_ctrl_c() -> Iterator[None]:
    """`runs cancel` sends SIGTERM, which by itself would leave no time to write how the run ended."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
