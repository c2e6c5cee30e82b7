"""Baselines: small versioned files of what runs measured, to be committed and gated against."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.compare.baseline_run import BaselineRun, measure
from harness.compare.gate_conditions import Conditions, loss_conditions, step_conditions, unlike
from harness.disk import expanded, is_file, write_whole
from harness.errors import ConfigError, EnvironmentProblem, nearest
from harness.runs.json_codec import Mismatch, decode, encode
from harness.runs.record import utc_now
from harness.runs.store import StoredRun

BASELINE_VERSION = 1
FOLDER = Path("baselines")
"""Where a baseline is looked up by its name, in the folder that the command is called in."""

_MARK = "moe-harness baseline"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What one run measured, or several alike. `step_conditions` and `loss_conditions` are those that all have.

    Of one run nobody knows how far launches of the same job lie apart; several make an envelope.
    """

    schema_version: int = BASELINE_VERSION
    created: str
    step_conditions: Mapping[str, str]
    loss_conditions: Mapping[str, str]
    runs: tuple[BaselineRun, ...]


def make_baseline(runs: Sequence[StoredRun]) -> Baseline:
    """The baseline of completed runs that are alike. ConfigError with every reason why there can be none."""
    problems: list[str] = []
    for run in runs:
        if run.record.status in ("failed", "cancelled"):
            problems.append(f"{run.record.run_id}: this run {_ended(run)}; a baseline takes completed runs")
    measured: list[BaselineRun] = []
    for run in runs:
        try:
            measured.append(measure(run))
        except ConfigError as error:
            problems += error.problems
    problems += [
        f"{it.run_id}: no step of this run counts for speed, for all are warm-up" for it in measured if not it.step_s
    ]
    conditions = [(run.record.run_id, _all_conditions(run)) for run in runs]
    if not problems:
        problems += unlike(conditions[0][1], conditions[1:], conditions[0][0])
    if problems:
        raise ConfigError(problems)
    return Baseline(
        created=utc_now(),
        step_conditions=step_conditions(runs[0].record),
        loss_conditions=loss_conditions(runs[0].record),
        runs=tuple(measured),
    )


def write_baseline(baseline: Baseline, path: Path, *, overwrite: bool = False) -> None:
    """Write the file whole or not at all, with its folder. ConfigError where it exists, EnvironmentProblem."""
    refuse_existing(path, overwrite=overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, _text(baseline))
    except OSError as error:
        raise EnvironmentProblem(f"{path}: cannot write this baseline: {error.strerror}") from error


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """ConfigError where something is at the path that may not be replaced."""
    if path.is_dir():
        raise ConfigError(f"{path}: this is a folder; name a file, such as {path / 'NAME.json'}")
    if path.exists() and not overwrite:
        raise ConfigError(f"{path}: this file exists; name another, or replace it by --overwrite")


def find_baseline(name: str) -> Path:
    """The file that is named, else `baselines/NAME.json` here. ConfigError with the nearest names."""
    for path in (expanded(name), FOLDER / f"{name}.json", FOLDER / name):
        if is_file(path):
            return path
    known = sorted(path.stem for path in FOLDER.glob("*.json"))
    hint = nearest(name, known) if known else f"there are none in {FOLDER.resolve()}"
    raise ConfigError(f"--baseline {name}: no such file, and no {FOLDER / name}.json here; {hint}")


def read_baseline(path: Path) -> Baseline:
    """Read a baseline of this version. ConfigError for a file that is none, or of a newer version."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this baseline: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: this baseline is damaged: not JSON ({error})") from error
    if not isinstance(document, dict) or document.get("what") != _MARK:
        raise ConfigError(f"{path}: this is no baseline; make one: moe-harness runs baseline RUN… -o FILE")
    version = document.get("schema_version")
    if type(version) is int and version > BASELINE_VERSION:
        raise ConfigError(
            f"{path}: schema_version {version} is newer than this moe-harness, which reads up to {BASELINE_VERSION};"
            " use a newer moe-harness, or make the baseline anew"
        )
    try:
        found: Baseline = decode(Baseline, document)
    except Mismatch as mismatch:
        raise ConfigError(f"{path}: this baseline is damaged: {mismatch}") from mismatch
    if not found.runs or not all(run.step_s for run in found.runs):
        raise ConfigError(f"{path}: this baseline is damaged: a run without step times, or no run at all")
    return found


def _all_conditions(run: StoredRun) -> Conditions:
    return {**step_conditions(run.record), **loss_conditions(run.record)}


def _ended(run: StoredRun) -> str:
    return "was cancelled" if run.record.status == "cancelled" else "failed"


def _text(baseline: Baseline) -> str:
    """A line a condition and a line a run: a diff shows what changed, and a file of numbers is no file of lines."""
    document: dict[str, Any] = {"what": _MARK, **encode(baseline)}
    parts = []
    for name, value in document.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict):
            text = _block(
                "{}", [f"{json.dumps(key)}: {json.dumps(it, ensure_ascii=False)}" for key, it in value.items()]
            )
        elif isinstance(value, list):
            text = _block("[]", [json.dumps(it, ensure_ascii=False) for it in value])
        parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _block(brackets: str, rows: Sequence[str]) -> str:
    return f"{brackets[0]}\n" + ",\n".join(f"  {row}" for row in rows) + f"\n {brackets[1]}"
