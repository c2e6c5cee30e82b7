"""`--tolerance` as users write it."""

import pytest

from harness.compare.tolerance import DEFAULT_TOLERANCES, parse_tolerances
from harness.errors import ConfigError


def test_what_is_not_written_keeps_its_default() -> None:
    assert parse_tolerances(None) == DEFAULT_TOLERANCES
    assert parse_tolerances("step_s=2.5 %, loss=off") == {"step_s": 0.025, "memory": 0.1, "loss": None}


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse_tolerances("step=5%,loss=5,memory=1%,memory=2%,step_s=-1%,")
    assert error.value.problems == (
        "--tolerance step=5%: no such figure; did you mean step_s?",
        "--tolerance loss=5: write a share as 5%, or off to leave loss out",
        "--tolerance memory: written twice",
        "--tolerance step_s=-1%: write a share as 5%, or off to leave step_s out",
        "--tolerance (nothing): no such figure; known: loss, memory, step_s",
    )


def test_nothing_left_to_gate_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="nothing is left to gate"):
        parse_tolerances("step_s=off,memory=off,loss=off")
