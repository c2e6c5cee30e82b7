"""Slurm's time formats."""

import pytest

from harness.launch.slurm.time_limit import parse_time_limit_s, show_time_limit


@pytest.mark.parametrize(
    ("text", "limit_s"),
    [("20", 1200), ("20:30", 1230), ("01:02:03", 3723), ("1-12", 129600), ("1-00:30", 88200), ("2-01:00:05", 176405)],
)
def test_every_form_that_sbatch_takes(text: str, limit_s: int) -> None:
    assert parse_time_limit_s(text) == limit_s
    assert parse_time_limit_s(show_time_limit(limit_s)) == limit_s


@pytest.mark.parametrize("text", ["", "an hour", "1:2:3:4", "-5", "0", "00:00:00"])
def test_what_is_no_time_limit(text: str) -> None:
    with pytest.raises(ValueError, match=r"MINUTES|no time"):
        parse_time_limit_s(text)


def test_shown_as_slurm_shows_it() -> None:
    assert show_time_limit(1200) == "00:20:00"
    assert show_time_limit(129600) == "1-12:00:00"
