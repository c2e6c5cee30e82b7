"""A sweep that can run: its name, its folder, and which of its points have a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.cli.sweep_points import Checked, SweepJob
from harness.errors import ConfigError
from harness.launch.executor import Executor
from harness.launch.slurm.lanes import require_joinable
from harness.report.text.sweep_table import PlannedJob, PointResult
from harness.runs.campaign.manifest import SweepPlan, derived_name, plan_of, runs_of, sweep_folder
from harness.runs.record import SweepPoint
from harness.runs.store import StoredRun


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """`root` holds the runs' folders, `folder` the sweep's own."""

    name: str
    root: Path
    folder: Path
    place: Executor
    plan: SweepPlan
    checked: Checked

    @property
    def asked_dry(self) -> bool:
        """Whether DRY_RUN=1 was asked for."""
        return any(job.resolved.switch("DRY_RUN") for job in self.checked.jobs)

    def label(self, job: SweepJob) -> SweepPoint:
        """What a run's record says of its place in the sweep."""
        return SweepPoint(sweep=self.name, point=job.point.name)

    def require_lanes(self) -> None:
        """ConfigError if the jobs cannot be made to wait for one another."""
        for job in self.checked.jobs:
            require_joinable(job.launch.job.resources.sbatch_args)

    def stored(self) -> dict[str, StoredRun]:
        """The newest run of each point that has one, as its record stands."""
        found = runs_of(self.root, self.name)
        if found.unreadable:
            raise ConfigError(
                [
                    f"{text}; it may be of this sweep, and its point would run twice: mend it, or take its folder away"
                    for text in found.unreadable
                ]
            )
        return dict(found.newest)

    def pending(self, stored: Mapping[str, StoredRun], *, retry_failed: bool) -> list[SweepJob]:
        """The jobs to run: those without a run, and on demand those whose run did not end well."""
        again = ("failed", "cancelled") if retry_failed else ()
        jobs = ((job, stored.get(job.point.name)) for job in self.checked.jobs)
        return [job for job, run in jobs if run is None or run.record.status in again]

    def rows(self, stored: Mapping[str, StoredRun], pending: Sequence[SweepJob]) -> list[PlannedJob]:
        """Each point that can run, before any of those that are pending does."""
        names = {job.point.name for job in pending}
        return [
            job.planned(self.place, stored.get(job.point.name), to_run=job.point.name in names)
            for job in self.checked.jobs
        ]

    def results(self, stored: Mapping[str, StoredRun]) -> list[PointResult]:
        """Each point that can run, with its newest run."""
        return [
            PointResult(
                point=job.point.name,
                values={name: job.point.settings[name] for name in self.checked.swept},
                run=stored.get(job.point.name),
            )
            for job in self.checked.jobs
        ]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What earlier drivers of a sweep left, by point: runs as they stand, and such as never became a job."""

    runs: Mapping[str, StoredRun]
    unsent: Mapping[str, StoredRun] = field(default_factory=dict)


class Driver(Protocol):
    """What runs a sweep's jobs."""

    def take_over(self) -> Taken:
        """What there is, as it truly stands, once what an earlier driver left half done is cleared up."""

    def drive(self, taken: Taken, pending: Sequence[SweepJob]) -> Mapping[str, StoredRun]:
        """Run what is pending, follow what is under way, and return all as it then stands."""


def sweep_of(checked: Checked, place: Executor, name: str | None) -> Sweep:
    """The sweep of points that were checked. ConfigError if none can run, or if they would not share a folder."""
    if not checked.jobs:
        reasons = [tuple(why) for why in checked.refused.values()]
        if len(set(reasons)) == 1:
            raise ConfigError(reasons[0])
        raise ConfigError([f"{point}: {text}" for point, why in checked.refused.items() for text in why])
    outputs = list(dict.fromkeys(job.resolved.text("OUTPUT_PATH") for job in checked.jobs))
    if len(outputs) > 1:
        raise ConfigError(f"the points of a sweep share one folder, and OUTPUT_PATH is {' and '.join(outputs)}; set it")
    if not outputs[0]:
        raise ConfigError("OUTPUT_PATH is not set, and each run needs a folder in it; set OUTPUT_PATH=FOLDER")
    root = Path(outputs[0])
    points = [(point.name, checked.resolved[point.name]) for point in checked.points]
    plan = plan_of(place, points, checked.slurm_options)
    named = derived_name(plan, checked.swept) if name is None else name
    return Sweep(name=named, root=root, folder=sweep_folder(root, named), place=place, plan=plan, checked=checked)
