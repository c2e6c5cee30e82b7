"""The pages on Slurm are what happens on a real cluster: their first job trains with real Megatron on two nodes."""

import json
from pathlib import Path

from cluster import Cluster
from page_session import copy_checkout, play, users_environ

from harness.launch.rundir import RunPaths
from harness.runs.samples_file import load_samples


def test_the_page_leads_from_a_conf_to_a_measured_record_of_two_nodes(tmp_path: Path, slurm: Cluster) -> None:
    checkout = copy_checkout(tmp_path / "moe-harness")
    for page in ("docs/slurm.md", "docs/slurm-jobs.md"):
        play(Path(page), checkout, users_environ(checkout) | dict(slurm.environ))
    records = {path.parent: json.loads(path.read_text()) for path in checkout.glob("runs/*/record.json")}
    ((folder, record),) = ((folder, it) for folder, it in records.items() if it["status"] == "completed")
    assert record["error"] is None
    (attempt,) = record["attempts"]
    assert (attempt["job_id"], attempt["state"]) == (record["job"]["job_id"], "COMPLETED")
    assert (attempt["nodes"], attempt["exit_code"]) == (["node1", "node2"], 0)
    samples = load_samples(RunPaths(folder))
    assert [sample["iteration"] for sample in samples] == list(range(1, 13))
    assert samples[-1]["loss"] < samples[0]["loss"] - 1
    summary, in_effect = record["result"]["summary"], record["result"]["in_effect"]
    assert summary["median_s"] > 0 and summary["tokens_per_s_per_gpu"] > 0
    assert (in_effect["hosts"], in_effect["device"]) == (["node1", "node2"], "cpu")
    assert (in_effect["setup"]["world_size"], in_effect["setup"]["dispatcher"]) == (4, "alltoall")
    assert {"torch", "megatron_core", "python"} <= {name for name, version in in_effect["versions"].items() if version}
