"""Campaigns over jobs that are no training: each item is a program of one line, run on this node."""

import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.config.provenance import Resolved
from harness.errors import ConfigError, EnvironmentProblem
from harness.launch.job import Job, Program, Resources
from harness.launch.run import open_run
from harness.launch.script.render import RenderedJob
from harness.runs import recorder
from harness.runs.campaign.assess import assess_items
from harness.runs.campaign.campaign import Campaign, campaign_of
from harness.runs.campaign.driver import CampaignOutcome
from harness.runs.campaign.item import Item, ItemAssessment
from harness.runs.campaign.manifest import load_manifest
from harness.runs.campaign.run import run_campaign
from harness.runs.local_run import OnStep
from harness.runs.render_job import render_job
from harness.runs.store import StoredRun, list_runs
from harness.runs.watch.watch import Event

type Campaigns = Callable[..., Campaign]


@dataclass
class Collected:
    """Keeps what a campaign reports, as `kind: text`."""

    lines: list[str] = field(default_factory=list)

    def progress(self, text: str) -> None:
        self.lines.append(f"progress: {text}")

    def notice(self, text: str) -> None:
        self.lines.append(f"notice: {text}")

    def error(self, text: str) -> None:
        self.lines.append(f"error: {text}")

    @contextmanager
    def steps(self, item: Item) -> Iterator[OnStep]:
        """These programs have no steps."""
        yield lambda sample: self.lines.append(f"step: {item.name}")

    def event(self, item: str | None, event: Event) -> None:
        raise AssertionError(f"{event}: nothing runs on Slurm here")


@pytest.fixture
def items(resolve: Callable[..., Resolved], tmp_path: Path) -> Campaigns:
    """Makes a campaign of items by name, each a line of bash; `whole`: with the script that such a job truly has."""

    def call(*, whole: bool = False, **programs: str) -> Campaign:
        def assess(name: str) -> ItemAssessment:
            resolved = resolve("MODEL=Mixtral-8x2B", f"COMMENT={name}", f"OUTPUT_PATH={tmp_path / 'runs'}")
            program = Program(argv=("bash", "-c", programs[name]), env={}, python=sys.executable)
            resources = Resources(nodes=1, ranks_per_node=1, device="cpu")
            job = Job(kind="conversion", name="shard", executor="local", resources=resources, program=program)
            short = RenderedJob(job=job, script=f"#!/bin/bash\n{programs[name]}\n")  # without the seconds of torchrun
            rendered = render_job(resolved, job) if whole else short
            return ItemAssessment(resolved=resolved, rendered=rendered, predicted={"wall_s": 0.1})

        assessed = assess_items({name: {"shard": name} for name in programs}, assess)
        return campaign_of(assessed, "local", open_run=open_run, name="mine")

    return call


def run(
    campaign: Campaign, reporter: Collected | None = None, *, retry_failed: bool = False
) -> tuple[dict[str, str], list[str]]:
    """Run a campaign; the status of each item, and which items were pending."""
    pending: list[str] = []

    def confirm(_: Mapping[str, StoredRun], found: Sequence[Item]) -> bool:
        pending.extend(item.name for item in found)
        return True

    outcome = run_campaign(campaign, reporter or Collected(), confirm=confirm, retry_failed=retry_failed, every_s=0.1)
    assert isinstance(outcome, CampaignOutcome) and not outcome.detached
    return {name: stored.record.status for name, stored in outcome.runs.items()}, pending


def test_each_item_runs_once_and_what_failed_again_on_demand(items: Campaigns, tmp_path: Path) -> None:
    campaign = items(first="true", second=f"test -e {tmp_path}/mended", third="true")
    reporter = Collected()
    assert run(campaign, reporter) == (
        {"first": "completed", "second": "failed", "third": "completed"},
        ["first", "second", "third"],
    )
    assert [line for line in reporter.lines if "point" in line] == [
        "progress: point 1 of 3: first",
        "progress: point 2 of 3: second",
        "progress: point 3 of 3: third",
    ]
    assert "error: the launcher ended with exit code 1:" in reporter.lines
    (tmp_path / "mended").touch()
    assert run(campaign) == ({"first": "completed", "second": "failed", "third": "completed"}, [])
    assert run(campaign, retry_failed=True) == (
        {"first": "completed", "second": "completed", "third": "completed"},
        ["second"],
    )
    records = [stored.record for stored in list_runs(tmp_path / "runs").runs]
    assert sorted((it.campaign.item, it.status) for it in records if it.campaign) == [
        ("first", "completed"),
        ("second", "completed"),
        ("second", "failed"),
        ("third", "completed"),
    ]
    assert {it.campaign.campaign for it in records if it.campaign} == {"mine"}
    assert [it.predicted for it in records] == [{"wall_s": 0.1}] * 4


@pytest.mark.slow
def test_the_script_of_such_a_job_runs_its_program(items: Campaigns, tmp_path: Path) -> None:
    campaign = items(whole=True, first="echo here; env >$RUN_DIR/env", second="exit 3")
    reporter = Collected()
    assert run(campaign, reporter)[0] == {"first": "completed", "second": "failed"}
    assert "error: rank 0 ended with exit code 3:" in reporter.lines
    (found,) = (path.read_text() for path in (tmp_path / "runs").glob("shard-*/env"))
    assert "RANK=0" in found.splitlines()
    assert [path.read_text() for path in (tmp_path / "runs").glob("shard-*/log")].count("0: here\n") == 1


def test_a_campaign_is_begun_once_it_is_confirmed(items: Campaigns) -> None:
    campaign = items(first="true")
    assert run_campaign(campaign, Collected(), confirm=lambda runs, pending: False, every_s=0.1) is None
    assert load_manifest(campaign.folder) is None
    assert list_runs(campaign.root).runs == ()
    run(campaign)
    assert load_manifest(campaign.folder) == campaign.manifest
    with pytest.raises(ConfigError, match="sweep mine was begun with another plan"):
        run(items(second="true"))


def test_ctrl_c_ends_the_item_under_way_and_leaves_the_rest_to_the_next_start(items: Campaigns, tmp_path: Path) -> None:
    interrupted = f"test -e {tmp_path}/mended || {{ kill -INT $PPID; sleep 60; }}"
    campaign = items(first="true", second=interrupted, third="true")
    reporter = Collected()
    assert run(campaign, reporter)[0] == {"first": "completed", "second": "cancelled"}
    assert reporter.lines[-1] == "notice: the same command goes on with the rest; --retry-failed runs second again too"
    (tmp_path / "mended").touch()
    assert run(campaign)[1] == ["third"]
    assert run(campaign, retry_failed=True)[1] == ["second"]


def test_what_a_driver_that_died_left_running_runs_again(items: Campaigns) -> None:
    campaign = items(first="true")
    (item,) = campaign.items
    orphan = open_run(item.resolved, item.rendered)
    recorder.begin(orphan, item.resolved, campaign=campaign.membership(item))
    orphan.paths.owner.write_text("1 another-host\n")
    with pytest.raises(EnvironmentProblem, match=r"^first was under way on .* when its driver died, and only there"):
        run(campaign)
    orphan.paths.owner.write_text(f"1 {socket.gethostname()}\n")  # and no lock
    reporter = Collected()
    assert run(campaign, reporter) == ({"first": "completed"}, ["first"])
    assert reporter.lines[0] == (
        f"notice: first: the driver died while it ran, so it is run again; run: {orphan.paths.root}"
    )
    statuses = {stored.folder: stored.record.status for stored in list_runs(campaign.root).runs}
    assert statuses.pop(orphan.paths.root) == "failed"
    assert list(statuses.values()) == ["completed"]


def test_a_notice_is_given_once_with_the_names_of_its_items() -> None:
    notices = {"a": ("all have this", "these two"), "b": ("all have this", "these two"), "c": ("all have this",)}
    problems = {"a": ("too many",), "b": ("too many",), "c": ("too many",)}

    def assess(name: str) -> ItemAssessment:
        return ItemAssessment(notices=notices[name], problems=problems[name])

    assessed = assess_items({name: {} for name in notices}, assess)
    assert assessed.notices == ("all have this", "a, b: these two")
    assert (assessed.items, assessed.refused) == ((), problems)
    with pytest.raises(ConfigError) as refused:
        campaign_of(assessed, "local", open_run=open_run)
    assert refused.value.problems == ("too many",)
    problems["c"] = ("too few", "too late")
    with pytest.raises(ConfigError) as refused:
        campaign_of(assess_items({name: {} for name in notices}, assess), "local", open_run=open_run)
    assert refused.value.problems == ("a: too many", "b: too many", "c: too few", "c: too late")
