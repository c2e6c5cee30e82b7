"""Which runs a list is to hold."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from harness.runs.record import UNFINISHED, Status, utc_at
from harness.runs.store import StoredRun

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
    model: str | None = None
    since: str | None = None
    sweep: str | None = None
    last: int | None = None

    def before_asking(self, runs: Sequence[StoredRun]) -> tuple[StoredRun, ...]:
        """Those whose lasting traits fit, and whose status does or may come to: only these need be asked after."""
        return tuple(run for run in runs if self._fits(run) and (self._has_status(run) or _may_change(run)))

    def of(self, runs: Sequence[StoredRun]) -> tuple[StoredRun, ...]:
        """The runs that fit, as they stand, in their order."""
        return tuple(run for run in runs if self._fits(run) and self._has_status(run))[: self.last]

    def _fits(self, run: StoredRun) -> bool:
        record = run.record
        return (
            (self.model is None or record.model == self.model)
            and (self.since is None or record.created >= self.since)
            and (self.sweep is None or (record.campaign is not None and record.campaign.campaign == self.sweep))
        )

    def _has_status(self, run: StoredRun) -> bool:
        return not self.statuses or run.record.status in self.statuses


def _may_change(run: StoredRun) -> bool:
    return run.record.status in UNFINISHED
