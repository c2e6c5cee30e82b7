"""Assess all items of a campaign before anything is touched."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.config.provenance import Resolved
from harness.runs.campaign.item import Item, ItemAssessment


@dataclass(frozen=True, kw_only=True)
class AssessedItems:
    """The items that can run, why each of the others is refused, and what is worth reading of all of them.

    `resolved` holds the configuration of every item by its name, None where it cannot be resolved.
    """

    items: tuple[Item, ...]
    refused: Mapping[str, Sequence[str]]
    resolved: Mapping[str, Resolved | None]
    notices: tuple[str, ...]


def assess_items(values: Mapping[str, Mapping[str, str]], assess: Callable[[str], ItemAssessment]) -> AssessedItems:
    """Assess each item by its name; `values` holds what each differs in from the others."""
    assessments = {name: assess(name) for name in values}
    items = [
        Item(name=name, values=values[name], resolved=it.resolved, rendered=it.rendered, predicted=it.predicted)
        for name, it in assessments.items()
        if it.resolved and it.rendered and not it.problems
    ]
    return AssessedItems(
        items=tuple(items),
        refused={name: it.problems for name, it in assessments.items() if it.problems},
        resolved={name: it.resolved for name, it in assessments.items()},
        notices=(*_notices(assessments), *_same_jobs(items)),
    )


def _notices(assessments: Mapping[str, ItemAssessment]) -> list[str]:
    """Each notice once, with the names of its items unless it is about all of them."""
    names: dict[str, list[str]] = {}
    for name, assessment in assessments.items():
        for text in assessment.notices:
            names.setdefault(text, []).append(name)
    return [text if len(named) == len(assessments) else f"{', '.join(named)}: {text}" for text, named in names.items()]


def _same_jobs(items: Sequence[Item]) -> list[str]:
    """Items whose jobs have the same flags, environment and ranks: the same experiment twice."""
    names: dict[str, list[str]] = {}
    for item in items:
        job = item.rendered.job
        ranks = (job.resources.nodes, job.resources.ranks_per_node, job.container)
        program = (job.program.command, sorted(job.program.env.items()))
        names.setdefault(repr((program, ranks)), []).append(item.name)
    return [
        f"{' and '.join(named)} come to the same flags: the same is run twice" for named in names.values() if named[1:]
    ]
