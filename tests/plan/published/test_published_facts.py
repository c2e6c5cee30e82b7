"""How entries of facts.yaml come together."""

import pytest

from harness.plan.published.facts import Facts, SourceEntry, gathered, over, shipped_entries
from harness.plan.published.rows import PublishedRow, read_rows

ROW = read_rows()[0]._replace(source="Some table, 1.2", model="M", gpu="GB200", precision="FP8", pp=4, vpp=None)


def entry(**conditions: object) -> SourceEntry:
    return SourceEntry(facts={"dispatcher": "deepep"}, origin="there", **conditions)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"source": r"table, 1\.2"},
        {"model": "m|n"},
        {"gpu": "G?B200"},
        {"recipe": "fp8|"},
        {"where": {"pp": 4, "vpp": 1}},
        {"says": "edp=32"},
    ],
)
def test_an_entry_holds_where_its_conditions_do(conditions: dict[str, object]) -> None:
    assert gathered(ROW, Facts(), [entry(**conditions)]).dispatcher == "deepep"


@pytest.mark.parametrize(
    "conditions",
    [
        {"source": r"1\.3"},
        {"model": "MM"},
        {"gpu": "B200"},  # no part of a name
        {"recipe": "mxfp8"},
        {"where": {"pp": 4, "vpp": 2}},
        {"says": "LoRA"},
        {"dispatcher": "hybridep"},
    ],
)
def test_one_condition_keeps_an_entry_out(conditions: dict[str, object]) -> None:
    assert gathered(ROW, Facts(), [entry(**conditions)]).dispatcher is None


def test_later_entries_stand_above_earlier_ones_and_may_build_on_them() -> None:
    entries = [
        SourceEntry(facts={"recipe": "mxfp8", "dispatcher": "alltoall", "vpp": 2}, origin="first"),
        SourceEntry(facts={"dispatcher": "hybridep"}, origin="second", recipe="mxfp8", where={"vpp": 2}),
    ]
    facts = gathered(ROW, Facts(), entries)
    assert (facts.dispatcher, facts.origins) == ("hybridep", ("first", "second"))
    assert gathered(ROW, Facts(), entries[::-1]).dispatcher == "alltoall"


def test_remarks_add_up_and_what_is_known_is_no_guess() -> None:
    first = over(Facts(), {"features": ["a"], "flags": {"--x": "1"}, "vpp": 7, "guessed": ["vpp"]}, "first")
    second = over(first, {"features": ["b", "a"], "flags": {"--y": True}}, "second")
    assert (second.features, second.flags) == (("a", "b"), {"--x": "1", "--y": True})
    assert second.guessed == ("vpp",)
    assert over(second, {"vpp": 4}, "third").guessed == ()


def test_every_shipped_entry_can_be_read() -> None:
    rows: tuple[PublishedRow, ...] = read_rows()
    for shipped in shipped_entries():
        assert set(shipped.facts.get("guessed", ())) <= set(Facts._fields), shipped
        over(Facts(), shipped.facts, shipped.origin)
        shipped.holds(rows[0], Facts())
