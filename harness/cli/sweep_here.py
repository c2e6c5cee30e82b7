"""A sweep on this node: one point after another, in this process."""

from collections.abc import Mapping, Sequence

from harness.cli import request, screen
from harness.cli.run import run_recorded, say_failure
from harness.cli.sweep_plan import Sweep, Taken
from harness.cli.sweep_points import SweepJob
from harness.errors import EnvironmentProblem
from harness.launch.processes import end_leftovers
from harness.launch.supervisor_lock import is_supervised
from harness.runs.reconcile.reconcile import reconcile_all
from harness.runs.record import UNFINISHED
from harness.runs.store import StoredRun
from harness.training.open_training import open_training


class DriverHere:
    """Holding the sweep's lock, it is the only one; a run still under way has lost its driver, and is to run again."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep

    def take_over(self) -> Taken:
        """The runs of points that have ended; what a driver that died left running is ended too."""
        stored = self._sweep.stored()
        left = {point: run for point, run in stored.items() if run.record.status in UNFINISHED}
        for point, run in left.items():
            _end(point, run)
        reconcile_all(list(left.values()))
        return Taken(runs={point: run for point, run in stored.items() if point not in left})

    def drive(self, taken: Taken, pending: Sequence[SweepJob]) -> Mapping[str, StoredRun]:
        """Until all is done, or until Ctrl-C ends the run under way and with it the sweep."""
        runs = dict(taken.runs)
        for number, job in enumerate(pending, start=1):
            screen.progress(f"point {number} of {len(pending)}: {job.point.name}")
            run = open_training(job.resolved, job.launch)
            request.say_notices(run.notices)
            record, outcome = run_recorded(run, job.resolved, job.predicted, self._sweep.label(job))
            runs[job.point.name] = StoredRun(folder=run.paths.root, record=record)
            say_failure(outcome)
            if outcome.status == "cancelled":
                screen.notice(f"the same command goes on with the rest; --retry-failed runs {job.point.name} again too")
                break
        return runs


def _end(point: str, run: StoredRun) -> None:
    """End what a driver that died left running."""
    host = run.record.job.host
    if is_supervised(run.paths) is None:
        raise EnvironmentProblem(
            f"{point} was under way on {host} when its driver died, and only there can be seen whether it still is;"
            f" give this command on {host}, or remove {run.folder}"
        )
    screen.notice(f"{point}: the driver died while it ran, so it is run again; run: {run.folder}")
    end_leftovers(run.folder)
