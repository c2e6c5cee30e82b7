"""An item of a campaign: one job, with all that starting it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.config.provenance import Resolved
from harness.launch.script.render import RenderedJob


@dataclass(frozen=True, kw_only=True)
class Item:
    """An item that can run. `values` holds what it differs in from the others, by name; `predicted` figures by name.

    `repeat` counts the items of one configuration from 1, None where it is run once.
    """

    name: str
    values: Mapping[str, str]
    resolved: Resolved
    rendered: RenderedJob
    predicted: Mapping[str, float] | None = None
    repeat: int | None = None


@dataclass(frozen=True, kw_only=True)
class ItemAssessment:
    """Whether an item can run: its job, or all the problems that keep it from running.

    `resolved` is None where the configuration cannot be resolved, `rendered` where there is no job.
    """

    resolved: Resolved | None = None
    rendered: RenderedJob | None = None
    predicted: Mapping[str, float] | None = None
    notices: Sequence[str] = ()
    problems: Sequence[str] = ()
