"""A campaign is known again by its manifest, its runs by their records, and has one driver."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from stored_records import load_version

from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.rundir import RunPaths
from harness.runs.campaign.item_runs import runs_of_items
from harness.runs.campaign.lock import CampaignBusy, hold
from harness.runs.campaign.manifest import CampaignManifest, campaign_folder, derived_name, manifest_of, save_manifest
from harness.runs.campaign.manifest_differences import require_same_manifest
from harness.runs.record import CampaignItem, RunRecord
from harness.runs.record_file import save
from harness.runs.store import list_runs

RECORD = load_version(1)
HOLDER = """
import sys, time
from pathlib import Path
from harness.runs.campaign.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

type Manifests = Callable[..., CampaignManifest]


@pytest.fixture
def manifest(resolve: Callable[..., Resolved]) -> Manifests:
    """The manifest of a sweep over EP with further words."""

    def call(
        *words: str, eps: tuple[int, ...] = (1, 2), place: str = "slurm", options: Sequence[str] = ()
    ) -> CampaignManifest:
        points = {f"EP={ep}": resolve("MODEL=Mixtral-8x2B", "DATASET=mock", f"EP={ep}", *words) for ep in eps}
        return manifest_of(place, {**points, "EP=3": None}, options)

    return call


def test_the_same_manifest_has_the_same_name_and_another_one_another(manifest: Manifests) -> None:
    name = derived_name(manifest(), ["EP"])
    assert name.startswith("Mixtral-8x2B-EP-")
    assert derived_name(manifest("DRY_RUN=1"), ["EP"]) == name
    others = [manifest("TRAIN_ITERS=7"), manifest(eps=(1,)), manifest(place="local"), manifest("NCCL_DEBUG=INFO")]
    others.append(manifest(options=["--segment=2"]))
    assert len({name, *(derived_name(other, ["EP"]) for other in others)}) == 6


def test_a_manifest_says_in_what_it_differs(manifest: Manifests, tmp_path: Path) -> None:
    folder = campaign_folder(tmp_path, "mine")
    require_same_manifest(folder, manifest())
    folder.mkdir(parents=True)
    save_manifest(folder, manifest())
    require_same_manifest(folder, manifest())
    with pytest.raises(ConfigError) as refused:
        require_same_manifest(folder, manifest("TRAIN_ITERS=7", eps=(2, 4), place="local", options=["--segment=2"]))
    assert refused.value.problems == (
        "sweep mine was begun with another plan; give another --name, or what it was begun with:",
        "  EP=1 was a point and is none now",
        "  EP=4 is a point and was none",
        "  --on was slurm and is local",
        "  options were none and are --segment=2",
        "  TRAIN_ITERS was 40 and is 7",
        "  --train-iters was 40 and is 7",
    )


def test_no_secret_is_in_a_manifest(manifest: Manifests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    save_manifest(tmp_path, manifest("COMMENT=0123456789abcdef"))
    assert "0123456789abcdef" not in (tmp_path / "sweep.json").read_text()


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 2}', '{"schema_version": 1}'])
def test_a_manifest_that_cannot_be_read_is_told(text: str, manifest: Manifests, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(ConfigError, match=r"sweep\.json: no plan of a sweep that can be read .*; give another --name"):
        require_same_manifest(tmp_path, manifest())


@pytest.mark.parametrize("name", ["", "../up", "a b", "-x", "x" * 65])
def test_a_name_that_is_no_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot name a folder; allowed: up to 64 letters"):
        campaign_folder(tmp_path, name)


def test_of_a_point_that_was_run_again_the_newest_counts(tmp_path: Path) -> None:
    def run(run_id: str, day: int, campaign: CampaignItem | None) -> RunRecord:
        return replace(RECORD, run_id=run_id, created=f"2026-01-{day:02}T00:00:00Z", campaign=campaign)

    mine = [
        run("a", 1, CampaignItem(campaign="mine", item="EP=1")),
        run("b", 3, CampaignItem(campaign="mine", item="EP=1")),
        run("c", 2, CampaignItem(campaign="mine", item="EP=2")),
    ]
    for record in (*mine, run("d", 4, CampaignItem(campaign="other", item="EP=1")), run("e", 5, None)):
        (tmp_path / record.run_id).mkdir()
        save(record, RunPaths(tmp_path / record.run_id).record, {})
    (tmp_path / "torn").mkdir()
    RunPaths(tmp_path / "torn").record.write_text("{")
    found = runs_of_items(tmp_path, "mine")
    assert {point: stored.record.run_id for point, stored in found.newest.items()} == {"EP=1": "b", "EP=2": "c"}
    assert len(found.unreadable) == 1  # it breaks off before it could say whose it is
    RunPaths(tmp_path / "torn").record.write_text('{"sweep": {"sweep": "other"}}')
    assert runs_of_items(tmp_path, "mine").unreadable == ()
    RunPaths(tmp_path / "torn").record.write_text('{"sweep": {\n"sweep": "mine"}}')
    assert len(runs_of_items(tmp_path, "mine").unreadable) == 1


def test_a_sweeps_folder_is_no_run(manifest: Manifests, tmp_path: Path) -> None:
    folder = campaign_folder(tmp_path, "mine")
    with hold(folder):
        save_manifest(folder, manifest())
    assert list_runs(tmp_path).runs == ()


def test_one_driver_at_a_time_and_a_dead_one_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "mine"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with pytest.raises(CampaignBusy, match=rf"^sweep mine is driven by process {holder.pid} on \S+ since 20"):
            with hold(folder):
                pass
        holder.kill()
    with hold(folder):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "sweeps").write_text("")
    with pytest.raises(Exception, match=f"^OUTPUT_PATH={tmp_path}: {tmp_path}/sweeps/mine: part of the path is a file"):
        with hold(tmp_path / "sweeps" / "mine"):
            pass
