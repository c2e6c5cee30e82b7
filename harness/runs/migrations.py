"""Records of older versions, brought to the next version step by step."""

from collections.abc import Callable, Mapping
from typing import Any

type Document = dict[str, Any]
type Migration = Callable[[Document], Document]

_RESULT = ("asked", "in_effect", "differences", "predicted", "summary")
"""What version 3 moved from the record itself to the result of its kind, which was training alone."""

_CAMPAIGN = {"sweep": "campaign", "point": "item"}


def _from_1_to_2(document: Document) -> Document:
    """Version 2 added what Slurm knows of a run (attempts, job id, cause), which older records simply lack."""
    return document


def _from_2_to_3(document: Document) -> Document:
    """Version 3 parted the header from the kind's result; samples went to a file of their own (`samples_file`)."""
    header = {name: value for name, value in document.items() if name not in (*_RESULT, "samples", "sweep")}
    result = {name: document[name] for name in _RESULT if name in document}
    return {**header, "kind": "training", "result": result, "campaign": _campaign(document.get("sweep"))}


def _campaign(sweep: Any) -> Any:
    if not isinstance(sweep, dict):
        return sweep
    return {_CAMPAIGN.get(name, name): value for name, value in sweep.items()}


MIGRATIONS: Mapping[int, Migration] = {1: _from_1_to_2, 2: _from_2_to_3}
"""The step from each older version to the next. Version 1 is the first."""
