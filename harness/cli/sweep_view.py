"""Print a sweep: its points before they run, those that are refused, and the results."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from harness.cli import screen
from harness.report.text.repeats_table import RepeatedPoint, repeated_points, show_repeated
from harness.report.text.sweep_table import (
    PointPreview,
    PointResult,
    point_preview,
    preview_data,
    results_data,
    show_cost,
    show_preview,
    show_refused,
    show_results,
)
from harness.runs.campaign.campaign import Campaign
from harness.runs.campaign.item import Item
from harness.runs.store import StoredRun


@dataclass(frozen=True, kw_only=True)
class SweepView:
    """Prints a sweep: tables on stdout, or JSON there and the tables on stderr."""

    campaign: Campaign
    refused: Mapping[str, Sequence[str]]
    swept: Sequence[str]
    as_json: bool

    def show_refused(self) -> None:
        """Show the points that are refused, if there are any."""
        if self.refused:
            self._print(f"{show_refused(self.refused)}\n")

    def show_preview(self, stored: Mapping[str, StoredRun], pending: Sequence[Item]) -> Sequence[PointPreview]:
        """Show the points, and what those to run may cost; return the rows of the table."""
        names = {item.name for item in pending}
        rows = [point_preview(it, stored.get(it.name), to_run=it.name in names) for it in self.campaign.items]
        self._print(show_preview(self.swept, rows))
        self._print(f"sweep {self.campaign.name}: {show_cost([row for row in rows if row.to_run])}")
        return rows

    def show_dry_run(self, *, retry_failed: bool) -> None:
        """Show what would run, without running it."""
        self.campaign.require_same()
        stored = self.campaign.stored()
        rows = self.show_preview(stored, self.campaign.pending(stored, retry_failed=retry_failed))
        if self.as_json:
            self._print_json(preview_data(rows))

    def show_results(self, stored: Mapping[str, StoredRun]) -> int:
        """Show the results; return the exit code."""
        results = [PointResult(point=it.name, values=it.values, run=stored.get(it.name)) for it in self.campaign.items]
        repeated = repeated_points(results)
        if self.as_json:
            self._print_json(results_data(results), repeated)
        else:
            click.echo(show_results(self.swept, results))
            if repeated:
                click.echo(f"\n{show_repeated(repeated)}")
        return 0 if all(it.record and it.record.status == "completed" for it in results) else 1

    def _print(self, text: str) -> None:
        (screen.progress if self.as_json else click.echo)(text)

    def _print_json(self, points: Sequence[Mapping[str, Any]], repeated: Sequence[RepeatedPoint] = ()) -> None:
        refused = [{"point": name, "why": list(reasons)} for name, reasons in self.refused.items()]
        data = {"sweep": self.campaign.name, "points": points, "refused": refused}
        means = {"repeats": [asdict(it) for it in repeated]} if repeated else {}
        click.echo(json.dumps(data | means, indent=2))
