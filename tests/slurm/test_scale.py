"""The job's script with more than a few ranks; benchmarks/slurm_scale.py does the same with 1,024."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from cluster import Cluster
from job_runs import SlurmRun, make_run

from harness.launch.slurm.submit import submit_script

NODES, RANKS_A_NODE = 8, 8
LAST = NODES * RANKS_A_NODE - 1
# In the first attempt each rank waits, and then one of them fails.
PROGRAM = f"""
if attempt: sys.exit()
(run / f"at{{rank}}").touch()
while len(list(run.glob("at*"))) <= {LAST}: time.sleep(0.5)
if rank == 45: sys.exit("GPU has fallen off the bus")
time.sleep(120)
"""


def test_of_many_ranks_the_first_failing_is_named_and_all_start_again_without_its_node(
    tmp_path: Path, slurm_programs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    with Cluster(nodes=NODES + 1, patience_s=60) as cluster:
        monkeypatch.setenv("SLURM_CONF", cluster.environ["SLURM_CONF"])
        paths = make_run(tmp_path, PROGRAM, NNODES=NODES, GPUS_PER_NODE=RANKS_A_NODE, RETRIES=1)
        run = SlurmRun(cluster=cluster, paths=paths, job_id=submit_script(paths).job_id)
        assert run.wait_for("COMPLETED", "FAILED", timeout_s=180) == "COMPLETED", run.log
    first, second = run.attempts
    bad = first.nodes[45 // RANKS_A_NODE]
    assert (first.exit_code, first.retry, first.excluded) == (1, "gpu-hardware", (bad,))
    assert Counter(run.codes(0).values()) == {143: LAST, 1: 1}
    assert bad not in second.nodes
    assert Counter(run.codes(1).values()) == {0: LAST + 1}
    said = [line for line in run.log.splitlines() if "moe-harness: node" not in line and not line.startswith("srun: ")]
    assert len(said) < 20, run.log  # what ends well or as asked says nothing
