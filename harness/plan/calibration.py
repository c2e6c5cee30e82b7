"""The constants of a machine that runs on it have moved, kept beside those runs."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from harness.cost.constants import FITTED, Constants
from harness.disk import write_whole
from harness.errors import ConfigError

NAME = "calibration.json"
SCHEMA_VERSION = 1


class Calibration(NamedTuple):
    """What `runs` of `machine` (a GPU's name, or CPU) say of those constants that they moved."""

    machine: str
    constants: Mapping[str, float]
    runs: tuple[str, ...]

    def applied(self) -> Constants:
        """All constants on that machine."""
        return FITTED.with_values(self.constants)


def load_calibrations(root: Path) -> dict[str, Calibration]:
    """Calibrations by machine; none where there is no file. ConfigError for a file that is not one of ours."""
    path = root / NAME
    try:
        document = json.loads(path.read_text())
        return {machine: _calibration(machine, entry) for machine, entry in _machines(document).items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: no calibration that can be read ({error}); remove it, then calibrate again"
        ) from None


def save_calibration(root: Path, calibration: Calibration) -> Path:
    """Put one machine's calibration beside those of others."""
    every = {**load_calibrations(root), calibration.machine: calibration}
    machines = {
        name: {key: value for key, value in it._asdict().items() if key != "machine"} for name, it in every.items()
    }
    path = root / NAME
    write_whole(path, json.dumps({"schema_version": SCHEMA_VERSION, "machines": machines}, indent=1) + "\n")
    return path


def _machines(document: Mapping[str, object]) -> Mapping[str, Mapping[str, object]]:
    if document.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema version {document.get('schema_version')}, not {SCHEMA_VERSION}")
    machines = document["machines"]
    if not isinstance(machines, dict):
        raise ValueError("machines are no table")
    return machines


def _calibration(machine: str, entry: Mapping[str, object]) -> Calibration:
    constants, runs = entry["constants"], entry["runs"]
    if not isinstance(constants, dict) or not isinstance(runs, list):
        raise ValueError(f"{machine} has no constants or runs")
    known = {item.name for item in fields(Constants)}
    if not all(isinstance(value, int | float) and value > 0 for value in constants.values()):
        raise ValueError(f"constants of {machine} must be positive numbers")
    return Calibration(
        machine=machine,
        constants={name: float(value) for name, value in constants.items() if name in known},
        runs=tuple(map(str, runs)),
    )
