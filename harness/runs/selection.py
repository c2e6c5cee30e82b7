"""Which runs a list is to hold."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from harness.runs.columns import Row
from harness.runs.condition import Condition
from harness.runs.record import Status, utc_at

_AGO = re.compile(r"(\d{1,6})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def parse_since(text: str) -> str:
    """`2d`, `12h`, `30m` ago, or a date with or without a time (UTC), as records write times. ValueError if neither."""
    try:
        if found := _AGO.fullmatch(text):
            return utc_at((datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})).timestamp())
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is neither like 2d, 12h or 30m nor a date like 2026-01-31") from None
    return utc_at((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a run must be; `last` counts from the newest. None, or no status at all, is no condition."""

    statuses: tuple[Status, ...] = ()
    kinds: tuple[str, ...] = ()
    model: str | None = None
    since: str | None = None
    sweep: str | None = None
    conditions: tuple[Condition, ...] = ()
    last: int | None = None

    def may_come_to_fit(self, row: Row) -> bool:
        """Whether a run that has not ended fits by its lasting traits: what else is asked of it may yet change."""
        return (
            (not self.kinds or row["kind"] in self.kinds)
            and (self.model is None or row["model"] == self.model)
            and (self.since is None or row["created"] >= self.since)
            and (self.sweep is None or row["campaign"] == self.sweep)
        )

    def of(self, rows: Iterable[Row]) -> list[Row]:
        """The rows that fit, the newest first."""
        fitting = [row for row in rows if self._fits(row)]
        fitting.sort(key=lambda row: (row["created"], row["run_id"]), reverse=True)
        return fitting[: self.last]

    def _fits(self, row: Row) -> bool:
        return (
            (not self.statuses or row["status"] in self.statuses)
            and self.may_come_to_fit(row)
            and all(condition.holds(row) for condition in self.conditions)
        )


def sorted_by(rows: Iterable[Row], column: str, *, descending: bool = False) -> list[Row]:
    """The rows by a column's values, in either direction those without a value last."""
    rows = list(rows)
    known = [row for row in rows if row[column] is not None]
    known.sort(key=lambda row: row[column], reverse=descending)
    return [*known, *(row for row in rows if row[column] is None)]
