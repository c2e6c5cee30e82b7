"""The points of a sweep, each resolved and checked as `launch` does it, before anything is touched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from harness.cli import request
from harness.config.arguments import parse_arguments
from harness.config.provenance import Resolved
from harness.config.roots import NAMED_BY, Roots
from harness.config.schema import SETTINGS
from harness.errors import ConfigError
from harness.launch.executor import Executor
from harness.launch.gpu_hours import gpu_hours
from harness.launch.script.render import RenderedJob
from harness.plan.forecast import figures
from harness.report.text.sweep_table import PlannedJob
from harness.runs.campaign.points import Point, expand
from harness.runs.render_job import render_job
from harness.runs.store import StoredRun
from harness.training.assessment import assess

if TYPE_CHECKING:  # a sweep without a known GPU starts faster without the cost model
    from harness.plan.candidate import Candidate


@dataclass(frozen=True, kw_only=True)
class SweepJob:
    """A point that can run."""

    point: Point
    resolved: Resolved
    launch: RenderedJob
    candidate: "Candidate | None"

    @property
    def predicted(self) -> dict[str, float] | None:
        """What the run's record keeps of the prediction."""
        return figures(self.candidate) if self.candidate else None

    def planned(self, place: Executor, run: StoredRun | None, *, to_run: bool) -> PlannedJob:
        """Its row in the table that is shown before anything is submitted; `run` is the newest that it has."""
        resources, predicted = self.launch.job.resources, self.predicted
        gpus, step_s = resources.ranks, (predicted or {}).get("step_time_s")
        steps = self.resolved.megatron_args.integer("--train-iters")
        return PlannedJob(
            point=self.point.name,
            values={name: self.point.settings[name] for name in self.point.swept},
            nodes=resources.nodes,
            gpus=gpus,
            time_limit=self.resolved.text("RUN_TIME"),
            predicted=predicted,
            gpu_hours=gpu_hours(self.resolved) if place == "slurm" else None,
            predicted_gpu_hours=step_s * steps * gpus / 3600 if step_s and steps and place == "slurm" else None,
            run=run,
            to_run=to_run,
        )


@dataclass(frozen=True, kw_only=True)
class Checked:
    """All points of a sweep: those that can run, what each of the others is refused for, and what is to be told."""

    points: tuple[Point, ...]
    slurm_options: tuple[str, ...]
    resolved: Mapping[str, Resolved | None]
    jobs: tuple[SweepJob, ...]
    refused: Mapping[str, Sequence[str]]
    notices: tuple[str, ...]

    @property
    def swept(self) -> tuple[str, ...]:
        """The names that differ from point to point."""
        return self.points[0].swept


def points_of(ctx: click.Context, words: Sequence[str], *, zipped: bool) -> tuple[Point, ...]:
    """The points that the words name. ConfigError holds every mistake in them."""
    typed = parse_arguments(words)
    points: tuple[Point, ...] = ()
    found = _not_found(typed)
    try:
        points = expand(typed, zipped=zipped)
    except ConfigError as error:
        found += error.problems
    if found:
        raise ConfigError([*found, *_strangers(ctx, typed)])
    return points


def executor_of(points: Sequence[Point], place: Executor | None) -> Executor:
    """Where all of them run: as `launch` would choose, on Slurm if any of them needs it."""
    usual = {request.usual_executor(point.words) for point in points}
    return place or ("slurm" if "slurm" in usual else "local")


def check_points(
    ctx: click.Context, points: Sequence[Point], place: Executor, *, slurm_options: Sequence[str], force: bool
) -> Checked:
    """Resolve and check every point; touches nothing. `slurm_options` are further options of sbatch, for all points."""
    resolved: dict[str, Resolved | None] = {}
    jobs: list[SweepJob] = []
    refused: dict[str, Sequence[str]] = {}
    told: dict[str, list[str]] = {}
    for point in points:
        resolved[point.name] = None
        try:
            found = resolved[point.name] = request.resolved(ctx, point.words, place)
            assessed = assess(found, place, force=force, slurm_options=slurm_options)
            for text in assessed.notices:
                told.setdefault(text, []).append(point.name)
            launch = render_job(found, assessed.require_job())
            job = SweepJob(point=point, resolved=found, launch=launch, candidate=assessed.candidate)
        except ConfigError as error:
            refused[point.name] = error.problems
        else:
            jobs.append(job)
    told_once = [text if len(named) == len(points) else f"{', '.join(named)}: {text}" for text, named in told.items()]
    return Checked(
        points=tuple(points),
        slurm_options=tuple(slurm_options),
        resolved=resolved,
        jobs=tuple(jobs),
        refused=refused,
        notices=(*told_once, *_same_jobs(jobs)),
    )


def _not_found(typed: Mapping[str, str]) -> list[str]:
    """Names in lists that no file has: a slip of the keyboard is no point to be passed over."""
    roots = Roots.standard()
    problems: list[str] = []
    for name, kind in NAMED_BY.items():
        values = [value for value in typed.get(name, "").split(",") if value and (name, value) != ("PROXY", "none")]
        for value in values if "," in typed.get(name, "") else ():
            try:
                roots.find(kind, value.strip(), setting=name)
            except ConfigError as error:
                problems += error.problems
    return problems


def _strangers(ctx: click.Context, typed: Mapping[str, str]) -> list[str]:
    """What resolving says of names that are no settings: only it knows the variables that files declare."""
    strange = [f"{name}={value}" for name, value in typed.items() if name not in SETTINGS]
    models = [model for model in typed.get("MODEL", "").split(",") if model in Roots.standard().names("model")]
    if not strange or not models:
        return []
    try:
        request.resolved(ctx, [f"MODEL={models[0]}", *strange], "slurm")
    except ConfigError as error:
        return [problem for problem in error.problems if "unknown setting" in problem or "secret" in problem]
    return []


def _same_jobs(jobs: Sequence[SweepJob]) -> list[str]:
    """Points that come to the same flags, environment and ranks: the same experiment twice."""
    found: dict[str, list[str]] = {}
    for job in jobs:
        spec = job.launch.job
        ranks = (spec.resources.nodes, spec.resources.ranks_per_node, spec.container)
        command, env = spec.program.command, sorted(spec.program.env.items())
        found.setdefault(repr((command, env, ranks)), []).append(job.point.name)
    return [
        f"{' and '.join(named)} come to the same flags: the same is run twice" for named in found.values() if named[1:]
    ]
