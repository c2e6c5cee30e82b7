"""Launch one configuration several times: REPEATS=n."""

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from harness.cli.campaign_reporter import ScreenReporter
from harness.cli.main import STOPPED
from harness.cli.run_lookup import EVERY_S
from harness.cli.sweep_view import SweepView
from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.script.render import RenderedJob
from harness.runs.campaign.assess import AssessedItems
from harness.runs.campaign.campaign import campaign_of
from harness.runs.campaign.item import Item
from harness.runs.campaign.repeats import REPEAT, with_repeats
from harness.runs.campaign.run import run_campaign
from harness.training.open_training import open_training


def launch_repeats(
    rendered: RenderedJob,
    resolved: Resolved,
    predicted: Mapping[str, float] | None,
    *,
    keep: bool,
    slurm_options: Sequence[str],
) -> int:
    """Run the job REPEATS times and follow the runs to their ends; returns the exit code.

    They are a campaign of a name of their own each time, unlike a sweep's: the same command measures again.
    """
    if keep:
        raise ConfigError("--keep is of one job, and REPEATS follows several to their ends; leave one of them out")
    item = Item(name="", values={}, resolved=resolved, rendered=rendered, predicted=predicted)
    items = with_repeats(AssessedItems(items=(item,), refused={}, resolved={"": resolved}, notices=()))
    campaign = campaign_of(
        items, rendered.job.executor, open_run=open_training, name=_name(resolved), options=slurm_options
    )
    view = SweepView(campaign=campaign, refused={}, swept=(REPEAT,), as_json=False)
    outcome = run_campaign(campaign, ScreenReporter(), confirm=lambda stored, pending: True, every_s=EVERY_S)
    if outcome is None or outcome.detached:
        return STOPPED
    code = view.show_results(outcome.runs)
    click.echo(f"repeats: {campaign.name}; moe-harness runs compare {campaign.name} RUN compares them with others")
    return code


def _name(resolved: Resolved) -> str:
    """`Mixtral-8x7B-20260131-120000-1a2b3c`."""
    model = re.sub(r"[^A-Za-z0-9_.-]", "-", resolved.text("MODEL", "runs")).lstrip("_.-")[:40] or "runs"
    return f"{model}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
