"""An opened run whose program is this very process, with its record."""

import traceback
from collections.abc import Callable
from contextlib import suppress

from harness.config.provenance import Resolved
from harness.errors import ConfigError, EnvironmentProblem, HarnessError, Interrupted
from harness.launch.run import Outcome, Run
from harness.launch.supervisor_lock import supervising
from harness.runs import recorder
from harness.runs.cancellation import term_as_ctrl_c
from harness.runs.log_reading import reader_of
from harness.runs.reporter import Reporter
from harness.runs.submission import forget

type WriteLine = Callable[[str], None]
"""Takes one line of the run's log."""


def run_in_process(run: Run, resolved: Resolved, work: Callable[[WriteLine], None], reporter: Reporter) -> None:
    """Do the work of a run here and now; the lines that it writes are the run's log.

    What `work` raises is raised again once the record tells of it. Ctrl-C and SIGTERM end the run as cancelled. A
    ConfigError before the first line says that the work could not begin: nothing is left of the run then. A record that
    cannot be written is a notice.
    """
    begun = False
    with supervising(run.paths), term_as_ctrl_c(), run.paths.log.open("ab", buffering=0) as log:
        record = recorder.begin(run, resolved)
        reader = reader_of(record)

        def write(line: str) -> None:
            nonlocal begun
            if not begun:
                begun = True
                reporter.progress(f"run: {run.paths.root}")
            with suppress(OSError):  # where runs are kept is full: no reason to end work on another disk
                log.write(f"{line}\n".encode(errors="backslashreplace"))
            reader.feed(line)

        def finish(outcome: Outcome, raised: str | None = None) -> None:
            try:
                recorder.finish(run.paths, record, reader, outcome, raised=raised)
            except EnvironmentProblem as problem:  # what the work came to is the same without its record
                reporter.notice(str(problem))

        try:
            work(write)
        except BaseException as error:
            if isinstance(error, ConfigError) and not begun:
                forget(run.paths.root)
                raise
            outcome, text = _outcome_of(error), None
            if outcome.status == "failed":
                text = _error_text(error)
                write(text)
            finish(outcome, text)
            raise
        finish(Outcome(status="completed", exit_code=0))


def _outcome_of(error: BaseException) -> Outcome:
    if isinstance(error, KeyboardInterrupt | Interrupted):
        return Outcome(status="cancelled", exit_code=Interrupted.exit_code)
    return Outcome(status="failed", exit_code=error.exit_code if isinstance(error, HarnessError) else 1)


def _error_text(error: BaseException) -> str:
    return str(error) if isinstance(error, HarnessError) else "".join(traceback.format_exception(error)).rstrip()
