"""Sweeps: each keeps its plan in `OUTPUT_PATH/sweeps/NAME`, and its runs know by their records to which they belong."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.provenance import Resolved
from harness.config.secrets import is_secret, scrub, secret_values
from harness.disk import write_whole
from harness.errors import ConfigError
from harness.launch.rundir import output_problem
from harness.runs.json_codec import Mismatch, decode, encode
from harness.runs.store import StoredRun, list_runs

FOLDER = "sweeps"
PLAN_NAME = "sweep.json"
SCHEMA_VERSION = 1

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NOT_OF_THE_JOB = ("DRY_RUN", "SUBMIT_WAIT")
_DIFFERENCES_TOLD = 8


@dataclass(frozen=True, kw_only=True)
class PlannedPoint:
    """A point and what is its own of settings, flags and environment; None where it could not be resolved."""

    name: str
    own: Mapping[str, str] | None


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What a sweep is to run, with what options of sbatch; `common` holds what all its points share."""

    schema_version: int = SCHEMA_VERSION
    place: str
    options: tuple[str, ...] = ()
    common: Mapping[str, str]
    points: tuple[PlannedPoint, ...]

    def content(self) -> dict[str, Mapping[str, str] | None]:
        """The whole of each point, by its name."""
        return {it.name: None if it.own is None else {**self.common, **it.own} for it in self.points}


@dataclass(frozen=True, kw_only=True)
class SweepRuns:
    """The newest run of each point, by the point's name, and why records that may be of the sweep cannot be read."""

    newest: Mapping[str, StoredRun]
    unreadable: tuple[str, ...]


def plan_of(place: str, points: Sequence[tuple[str, Resolved | None]], options: Sequence[str] = ()) -> SweepPlan:
    """The plan of points by name; a secret in them is not written down."""
    contents = {name: None if resolved is None else _content(resolved) for name, resolved in points}
    known = [set(content.items()) for content in contents.values() if content is not None]
    common = dict(sorted(set.intersection(*known))) if known else {}
    own = {
        name: None if content is None else {key: value for key, value in content.items() if key not in common}
        for name, content in contents.items()
    }
    planned = tuple(PlannedPoint(name=name, own=rest) for name, rest in own.items())
    return SweepPlan(place=place, options=tuple(options), common=common, points=planned)


def derived_name(plan: SweepPlan, swept: Sequence[str]) -> str:
    """`DeepSeek-V2-Lite-EP-MBS-1a2b3c4d`: the same plan has the same name, another one another."""
    text = json.dumps([plan.place, *plan.options, plan.content()], sort_keys=True)
    words = (*([] if "MODEL" in swept else [plan.common.get("MODEL", "sweep")]), *swept)
    return f"{'-'.join(words)[:50]}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:8]}"


def sweep_folder(root: Path, name: str) -> Path:
    """Where a sweep keeps its plan and lock; a run has its record in its folder, so none of this looks like one."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name {name!r} cannot name a folder; allowed: up to 64 letters, digits, '_', '.' and '-',"
            " beginning with a letter or digit"
        )
    return root.absolute() / FOLDER / name


def require_same(folder: Path, plan: SweepPlan) -> None:
    """ConfigError says in what a plan differs from the one that the folder holds, if it holds one."""
    before = _load(folder / PLAN_NAME)
    found = _differences(before, plan) if before else []
    if not found:
        return
    more = [f"… and {len(found) - _DIFFERENCES_TOLD} more"] if len(found) > _DIFFERENCES_TOLD else []
    raise ConfigError(
        [
            f"sweep {folder.name} was begun with another plan; give another --name, or what it was begun with:",
            *(f"  {text}" for text in [*found[:_DIFFERENCES_TOLD], *more]),
        ]
    )


def keep_plan(folder: Path, plan: SweepPlan) -> None:
    """Write the plan down."""
    try:
        write_whole(folder / PLAN_NAME, json.dumps(encode(plan), indent=1) + "\n")
    except OSError as error:
        raise output_problem(folder.parent.parent, error) from error


def runs_of(root: Path, sweep: str) -> SweepRuns:
    """The runs of a sweep, as their records tell; of a point that was run again, the newest."""
    found = list_runs(root)
    newest: dict[str, StoredRun] = {}
    for run in found.runs:
        of = run.record.sweep
        if of is not None and of.sweep == sweep:
            newest.setdefault(of.point, run)
    lost = tuple(why for path, why in found.unreadable.items() if _may_be_of(path, sweep))
    return SweepRuns(newest=newest, unreadable=lost)


def _may_be_of(path: Path, sweep: str) -> bool:
    """Whether a record that cannot be read is of a sweep: it names it, or breaks off before it could."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False  # another user's
    return f'"sweep": "{sweep}"' in text or not text.rstrip().endswith("}")


def _content(resolved: Resolved) -> dict[str, str]:
    settings = {name: _text(value) for name, value in resolved.settings.items() if value is not None}
    flags = {name: _text(value) for name, value in resolved.megatron_args.items()}
    merged = {**settings, **flags, **resolved.env}
    kept = {name: text for name, text in merged.items() if name not in _NOT_OF_THE_JOB and not is_secret(name)}
    scrubbed: dict[str, str] = scrub(kept, secret_values(os.environ, resolved.env))
    return scrubbed


def _text(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _load(path: Path) -> SweepPlan | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and document.get("schema_version") != SCHEMA_VERSION:
            raise Mismatch(f"schema_version {document.get('schema_version')}, not {SCHEMA_VERSION}")
        plan: SweepPlan = decode(SweepPlan, document)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: no plan of a sweep that can be read ({error}); give another --name:"
            " `moe-harness runs list --sweep` shows what this one has run"
        ) from None
    return plan


def _differences(before: SweepPlan, now: SweepPlan) -> list[str]:
    """`TRAIN_ITERS was 50 and is 100`, once for all points, or with the point's name before it."""
    old, new = before.content(), now.content()
    found = [f"{name} was a point and is none now" for name in old if name not in new]
    found += [f"{name} is a point and was none" for name in new if name not in old]
    if before.place != now.place:
        found.append(f"--on was {before.place} and is {now.place}")
    if before.options != now.options:
        found.append(f"options were {' '.join(before.options) or 'none'} and are {' '.join(now.options) or 'none'}")
    by_text: dict[str, list[str]] = {}
    shared = [name for name in new if name in old]
    for point in shared:
        for text in _changes(old[point], new[point]):
            by_text.setdefault(text, []).append(point)
    resolved = sum(old[point] is not None and new[point] is not None for point in shared)
    for text, points in by_text.items():
        found.append(text if len(points) == resolved else f"{', '.join(points)}: {text}")
    return found


def _changes(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> list[str]:
    if old is None or new is None:
        return [] if old is new else [f"the point {'could not' if old is None else 'could'} be resolved then"]
    names = sorted({*old, *new}, key=lambda name: (name.startswith("-"), name))  # settings, then flags
    return [
        f"{name} was {old.get(name, 'unset')} and is {new.get(name, 'unset')}"
        for name in names
        if old.get(name) != new.get(name)
    ]
