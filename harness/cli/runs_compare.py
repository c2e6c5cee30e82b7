"""`moe-harness runs compare`: runs side by side."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import screen
from harness.cli.run_lookup import ROOT, reconciled_runs, runs_of, with_its_log
from harness.errors import ConfigError, EnvironmentProblem
from harness.evaluation.result import EvaluationResult
from harness.evaluation.result_file import read_result
from harness.runs.json_codec import Mismatch, decode
from harness.runs.samples_file import UnreadableSamples, load_samples
from harness.runs.store import StoredRun, list_runs

if TYPE_CHECKING:
    from harness.compare.comparison import Comparison
    from harness.compare.measured_run import MeasuredRun
    from harness.compare.metrics import ResultDocument
    from harness.training.log.samples import StepSample


@click.command("compare")
@click.argument("names", metavar="RUN…", nargs=-1, required=True)
@ROOT
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("--force", is_flag=True, help="Compare runs that are not alike, and say so.")
def command(names: Sequence[str], root: Path, as_json: bool, force: bool) -> None:
    """Compare the first run with each of the others: configuration, speed, memory and loss.

    A RUN is an id, its beginning, a folder, or a Slurm job. The name of a sweep stands for all its points, that of a
    repeated launch for its repeats, which are compared by their means. Runs of other work are refused.
    """
    _require_scipy()
    groups = _groups(root, names)
    kind = _one_kind(groups)
    if kind == "evaluation":
        from harness.report.text.evaluation_comparison import comparison_data, show_comparison

        found = _evaluations(groups, force=force)
        text, data = show_comparison, comparison_data
    else:
        from harness.report.text.run_comparison import run_comparison_data, show_run_comparison

        found = _trainings(groups, force=force)
        text, data = show_run_comparison, run_comparison_data
    click.echo(json.dumps(data(found), indent=2, ensure_ascii=False) if as_json else text(found))


def _require_scipy() -> None:
    if find_spec("scipy") is None:
        raise EnvironmentProblem(
            "runs compare needs scipy; run tools/setup.sh eval in a checkout, or pip install 'moe-harness[eval]'"
        )


type _Group = tuple[str, tuple[StoredRun, ...]]


def _groups(root: Path, names: Sequence[str]) -> list[_Group]:
    """What is compared: each run that is named, and each point of a sweep that is, with all its repeats."""
    stored = list_runs(root).runs
    groups: dict[str, tuple[StoredRun, ...]] = {}
    for name in names:
        of_campaign = [run for run in stored if run.record.campaign and run.record.campaign.campaign == name]
        found = of_campaign[::-1] or runs_of(root, [name])
        for run in found:
            key = _point(run) if of_campaign else run.record.run_id
            if run not in groups.get(key, ()):
                groups[key] = (*groups.get(key, ()), run)
    if len(groups) < 2:
        raise ConfigError(f"{' '.join(names)}: one run is no comparison; name two or more, or a sweep of two or more")
    _refuse_twice(list(groups.items()))
    return list(groups.items())


def _point(run: StoredRun) -> str:
    campaign = run.record.campaign
    return f"{campaign.campaign} {campaign.point}".rstrip() if campaign else run.record.run_id


def _refuse_twice(groups: Sequence[_Group]) -> None:
    """ConfigError for each run that is in two of the groups: against itself it tells nothing."""
    ids = [run.record.run_id for _, runs in groups for run in runs]
    if twice := [run_id for run_id in dict.fromkeys(ids) if ids.count(run_id) > 1]:
        raise ConfigError([f"{run_id} is named by itself and as one of several repeats" for run_id in twice])


def _one_kind(groups: Sequence[_Group]) -> str:
    """ConfigError where kinds are mixed, and for a kind that has no figures to compare."""
    kinds = {run.record.run_id: run.record.kind for _, runs in groups for run in runs}
    if len(set(kinds.values())) > 1:
        told = [f"{run_id} is of the kind {kind}" for run_id, kind in kinds.items()]
        raise ConfigError([*told, "runs of one kind are compared: all training, or all evaluation"])
    (kind,) = set(kinds.values())
    if kind not in ("training", "evaluation"):
        raise ConfigError(f"runs of the kind {kind} have no figures to compare; training and evaluation do")
    return kind


def _trainings(groups: Sequence[_Group], *, force: bool) -> "Comparison":
    from harness.compare.measured_run import RepeatedRun
    from harness.compare.runs import compare_runs

    runs = [RepeatedRun(name=name, runs=_measured(of)) for name, of in groups]
    return compare_runs(runs, force=force)


def _measured(runs: Sequence[StoredRun]) -> "tuple[MeasuredRun, ...]":
    """The runs with their steps as far as they came; of repeats those that have figures, where some do."""
    measured = [_with_steps(run) for run in reconciled_runs(runs)[0]]
    return tuple(run for run in measured if run.summary is not None) or tuple(measured)


def _with_steps(run: StoredRun) -> "MeasuredRun":
    from harness.compare.measured_run import MeasuredRun

    shown, samples = with_its_log(run)
    if samples is None:
        samples = _kept_samples(run)
    return MeasuredRun(record=shown.record, samples=tuple(samples))


def _kept_samples(run: StoredRun) -> "Sequence[StepSample]":
    """The samples beside the record; none, and a notice, where they are damaged."""
    from harness.training.log.samples import StepSample

    try:
        return [decode(StepSample, value) for value in load_samples(run.paths)]
    except Mismatch as mismatch:
        screen.notice(f"{run.paths.samples}: these samples are damaged: {mismatch}")
    except UnreadableSamples as problem:
        screen.notice(str(problem))
    return []


def _evaluations(groups: Sequence[_Group], *, force: bool) -> "Comparison":
    from harness.compare.evaluations import compare_evaluations

    runs = reconciled_runs([run for _, of_group in groups for run in of_group])[0]
    documents: list[ResultDocument] = []
    problems: list[str] = []
    for run in runs:
        try:
            documents.append(read_result(_result_file(run)))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return compare_evaluations(documents, [run.record.run_id for run in runs], force=force)


def _result_file(run: StoredRun) -> Path:
    """The result of the last checkpoint that the run evaluated. ConfigError where there is none."""
    result = run.record.result
    evaluated = result.evaluated if isinstance(result, EvaluationResult) else ()
    if not evaluated:
        raise ConfigError(f"{run.record.run_id} ({run.record.status}) has no result yet")
    if len(evaluated) > 1:
        screen.notice(f"{run.record.run_id}: the last of {len(evaluated)} checkpoints, {evaluated[-1].name}")
    return Path(evaluated[-1].output_file)
