"""Evaluations as jobs of a real Slurm: two nodes, real Megatron, a result file and a record."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli_command import Answer
from launching import User, job_of
from tiny_models import make_tiny

MEASURE = ("--what", "loss,routing", "--seq-len", "64", "--max-tokens", "2000")
TWO_NODES = ("NNODES=2", "GPUS_PER_NODE=1", "EP=2")


@pytest.fixture
def checkpoint(user: User) -> Path:
    """A tiny model of Megatron's in the user's folder."""
    make_tiny("Mixtral", user.folder / "hf")
    converted = user("convert", "hf", "ckpt", environ={"OUTPUT_PATH": str(user.folder / "elsewhere")})
    assert converted.code == 0, converted.err
    return user.folder / "ckpt"


def evaluate(user: User, *words: str) -> Answer:
    """`eval` as a job on two nodes."""
    return user("eval", "ckpt", "--on", "slurm", *MEASURE, *TWO_NODES, *words)


def results(checkpoint: Path) -> list[dict[str, Any]]:
    """The results beside the checkpoint."""
    return [json.loads(path.read_text()) for path in sorted(checkpoint.glob("eval/eval_results_*.json"))]


def test_two_nodes_evaluate_what_the_dry_run_printed(user: User, checkpoint: Path) -> None:
    printed = evaluate(user, "--dry-run")
    assert printed.code == 0, printed.err
    submitted = evaluate(user)
    job_id = job_of(submitted)
    assert (user.run_folder / "script.sh").read_text() == printed.out
    record = user.reconciled()
    log = (user.run_folder / "log").read_text()
    assert (record["kind"], record["status"], record["job"]["job_id"]) == ("evaluation", "completed", job_id), log
    assert record["hosts"] == ["node1", "node2"]
    (result,) = results(checkpoint)
    (evaluated,) = record["result"]["evaluated"]
    assert evaluated["output_file"] == result["output_file"]
    assert evaluated["loss"] == pytest.approx(result["validation"]["loss"])
    assert result["validation"]["tokens"] == 2000
    experts = result["routing_stats"]["layer_0"]["tokens_per_expert"]
    assert sum(experts) == 2 * 2000
    shown = user("runs", "show", job_id).out
    assert f"loss {result['validation']['loss']:.4f}" in shown and result["output_file"] in shown
    again = evaluate(user)
    assert again.code == 0, again.err
    assert "evaluated already" in again.err
    assert len(results(checkpoint)) == 1


def test_a_rank_that_dies_ends_the_job_with_its_cause(user: User, checkpoint: Path) -> None:
    for shard in checkpoint.glob("release/*.distcp"):
        with shard.open("r+b") as file:  # begins and ends as it did, but holds no weights
            file.seek(1000)
            file.write(bytes(shard.stat().st_size // 2))
    assert evaluate(user).out.startswith("submitted job ")
    record = user.reconciled()
    assert record["status"] == "failed"
    assert record["error"]["exit_code"] not in (0, None)
    assert results(checkpoint) == []
