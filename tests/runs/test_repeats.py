"""Items of a campaign that are run several times."""

from types import SimpleNamespace
from typing import Any

import pytest

from harness.config.provenance import Resolved
from harness.runs.campaign.assess import AssessedItems
from harness.runs.campaign.item import Item
from harness.runs.campaign.repeats import with_repeats
from harness.runs.record import CampaignItem


def _assessed(**repeats: int) -> AssessedItems:
    rendered: Any = SimpleNamespace()  # which repeats share, and nobody looks into
    resolved = {name: Resolved(settings={"REPEATS": n}, megatron_args={}, env={}) for name, n in repeats.items()}  # type: ignore[arg-type]
    items = tuple(Item(name=name, values={"EP": name}, resolved=it, rendered=rendered) for name, it in resolved.items())
    return AssessedItems(items=items, refused={"bad": ["no"]}, resolved={**resolved, "bad": None}, notices=())


def test_one_of_each_is_as_it_was() -> None:
    assessed = _assessed(a=1, b=1)
    assert with_repeats(assessed) is assessed


def test_all_come_once_before_any_comes_again() -> None:
    found = with_repeats(_assessed(a=2, b=2))
    assert [item.name for item in found.items] == ["a REPEAT=1", "b REPEAT=1", "a REPEAT=2", "b REPEAT=2"]
    assert [item.repeat for item in found.items] == [1, 1, 2, 2]
    assert found.items[2].values == {"EP": "a", "REPEAT": "2"}
    assert set(found.resolved) == {*(item.name for item in found.items), "bad REPEAT=1"}
    assert set(found.refused) == {"bad"}


def test_each_as_often_as_it_says() -> None:
    assert [item.name for item in with_repeats(_assessed(a=3, b=1)).items] == [
        "a REPEAT=1",
        "b REPEAT=1",
        "a REPEAT=2",
        "a REPEAT=3",
    ]


@pytest.mark.parametrize(
    ("item", "repeat", "point"),
    [("EP=4 REPEAT=2", 2, "EP=4"), ("REPEAT=12", 12, ""), ("EP=4 MBS=2", None, "EP=4 MBS=2")],
)
def test_repeats_share_their_point(item: str, repeat: int | None, point: str) -> None:
    assert CampaignItem(campaign="c", item=item, repeat=repeat).point == point
