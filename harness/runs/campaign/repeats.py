"""Repeats: items of a campaign that are run several times, as REPEATS says of each."""

from dataclasses import replace

from harness.runs.campaign.assess import AssessedItems
from harness.runs.campaign.item import Item

REPEAT = "REPEAT"
"""The value in which repeats differ, by its name."""


def with_repeats(assessed: AssessedItems) -> AssessedItems:
    """Every item as often as its REPEATS says; all as they are where none is repeated.

    All items come before any is repeated, so that what changes on the machine meanwhile changes for all of them.
    """
    counts = {name: it.integer("REPEATS", 1) if it else 1 for name, it in assessed.resolved.items()}
    most = max(counts.values(), default=1)
    if most == 1:
        return assessed
    numbers = range(1, most + 1)
    return replace(
        assessed,
        items=tuple(_repeat(it, number) for number in numbers for it in assessed.items if number <= counts[it.name]),
        resolved={
            repeat_name(name, number): it
            for number in numbers
            for name, it in assessed.resolved.items()
            if number <= counts[name]
        },
    )


def repeat_name(name: str, number: int) -> str:
    """`EP=4 REPEAT=2`."""
    return f"{name} {REPEAT}={number}".lstrip()


def _repeat(item: Item, number: int) -> Item:
    return replace(
        item, name=repeat_name(item.name, number), values={**item.values, REPEAT: str(number)}, repeat=number
    )
