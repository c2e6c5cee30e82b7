"""Find the best mapping on 8 to 16,384 GPUs each."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from harness.cli.plan_request import PlanRequest, plan_request
from harness.cli.plan_search import MOST_GPUS
from harness.errors import ConfigError
from harness.plan.candidate import Candidate
from harness.plan.search import search
from harness.report.text.plain_table import MISSING, plain_table
from harness.report.text.prediction import candidate_data
from harness.units import GIB, show_seconds

LEAST_GPUS = 8


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """The best mapping on so many GPUs, None where none fits; `weak` where the global batch had to grow with them."""

    gpus: int
    best: Candidate | None
    weak: bool = False


def run(ctx: click.Context, arguments: Sequence[str], *, as_json: bool) -> None:
    """Search every power of two."""
    asked = plan_request(ctx, arguments)
    rows = list(scaled(asked))
    fitting = [row for row in rows if row.best]
    if not fitting:
        asked.space(MOST_GPUS)  # refuses what no number of GPUs can mend
        raise ConfigError(f"no mapping fits on any of {LEAST_GPUS} to {MOST_GPUS} GPUs")
    if as_json:
        click.echo(json.dumps([_data(row) for row in rows], indent=2))
        return
    first = fitting[0]
    click.echo(plain_table([_row(row, first) for row in rows], HEADERS))
    click.echo(f"\nefficiency: tokens/s/GPU beside those on {first.gpus} GPUs")
    click.echo("GBS stays as it is (strong scaling)" + (WEAK if any(row.weak for row in rows) else ""))


HEADERS = ("GPUs", "GBS", "TP", "PP", "VPP", "EP", "ETP", "CP", "MBS", "memory", "step", "tokens/s", "efficiency")
WEAK = "; where no mapping splits it, one sequence a GPU is taken (+)"


def scaled(asked: PlanRequest) -> Iterator[Scaled]:
    """A row for each power of two."""
    gpus = LEAST_GPUS
    while gpus <= MOST_GPUS:
        yield _best(asked, gpus) or _best(asked.with_batch(gpus), gpus, weak=True) or Scaled(gpus=gpus, best=None)
        gpus *= 2


def _best(asked: PlanRequest, gpus: int, *, weak: bool = False) -> Scaled | None:
    """The best mapping; None where nothing fits, or where a typed setting excludes the number, as TP=16 does 8 GPUs."""
    try:
        found = search(asked.space(gpus), keep=1)
    except ConfigError:
        return None
    return Scaled(gpus=gpus, best=found.best[0], weak=weak) if found.best else None


def _row(row: Scaled, first: Scaled) -> list[str]:
    best = row.best
    if best is None or first.best is None:
        return [f"{row.gpus:,}", *[MISSING] * (len(HEADERS) - 1)]
    par, size = best.parallel, best.batch
    sizes = map(str, (par.tp, par.pp, par.vpp, par.ep, par.etp, par.cp, size.micro))
    return [
        f"{row.gpus:,}",
        f"{size.global_}{'+' if row.weak else ''}",
        *sizes,
        f"{best.peak.total_bytes / GIB:.1f} GiB",
        show_seconds(best.step_time.total_s),
        f"{best.tokens_per_s_per_gpu * row.gpus:,.0f}",
        f"{best.tokens_per_s_per_gpu / first.best.tokens_per_s_per_gpu:.0%}",
    ]


def _data(row: Scaled) -> dict[str, object]:
    return {"gpus": row.gpus, "weak": row.weak, "best": candidate_data(row.best) if row.best else None}
