"""What the job's script costs beside a bare srun, at any number of ranks.

    PYTHONPATH=tests:tests/slurm python benchmarks/slurm_scale.py [NODES [RANKS_A_NODE [PAIRS]]]

Every rank runs the same small Python program, once under `srun -l --kill-on-bad-exit=1` alone and once under the script
that moe-harness submits, in turn, on a real Slurm that it starts on this machine (as root; `tools/slurm.sh install`).
All tasks of all nodes share this machine's cores, so the figure is a ratio, and the most that a cluster would see.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

from cluster import Cluster
from job_runs import SlurmRun, make_run

from harness.launch.slurm.submit import submit_script

BARE = """
begun=$(date +%s.%N)
srun -l --kill-on-bad-exit=1 {python} {program} </dev/null
echo "took $(date +%s.%N) $begun"
"""


def main(nodes: int, ranks_a_node: int, pairs: int) -> None:
    """Print a line a pair, and the median."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ratios = []
    with tempfile.TemporaryDirectory() as folder, Cluster(nodes=nodes, patience_s=300) as cluster:
        os.environ["SLURM_CONF"] = cluster.environ["SLURM_CONF"]
        for number in range(pairs):
            bare_s = _bare_s(cluster, nodes, ranks_a_node)
            ours_s = _ours_s(cluster, Path(folder) / str(number), nodes, ranks_a_node)
            ratios.append(ours_s / bare_s)
            print(f"{nodes * ranks_a_node} ranks: srun {bare_s:.1f} s, the script {ours_s:.1f} s", flush=True)
    print(f"{statistics.median(ratios):.2f} x a bare srun [{min(ratios):.2f} to {max(ratios):.2f}]")


def _bare_s(cluster: Cluster, nodes: int, ranks_a_node: int) -> float:
    program = cluster.jobs / "program.py"
    program.write_text("")
    script = BARE.format(python=sys.executable, program=program)
    size = (f"--nodes={nodes}", f"--ntasks-per-node={ranks_a_node}", "--exclusive", "--mem=0")
    job = cluster.sbatch(*size, script=script)
    cluster.wait_for(job, "COMPLETED", timeout_s=600)
    ended, begun = next(line for line in cluster.log(job).splitlines() if line.startswith("took ")).split()[1:]
    return float(ended) - float(begun)


def _ours_s(cluster: Cluster, folder: Path, nodes: int, ranks_a_node: int) -> float:
    """From the script's first line to its last; each rank has left its exit code by then."""
    paths = make_run(folder, "", NNODES=nodes, GPUS_PER_NODE=ranks_a_node, RETRIES=1)
    run = SlurmRun(cluster=cluster, paths=paths, job_id=submit_script(paths).job_id)
    run.wait_for("COMPLETED", timeout_s=600)
    codes = run.codes()
    assert len(codes) == nodes * ranks_a_node and set(codes.values()) == {0}, codes
    return _last_change_s(paths.root / "finished") - _last_change_s(paths.root / "attempts")


def _last_change_s(path: Path) -> float:
    return path.stat().st_mtime


if __name__ == "__main__":
    main(*(int(word) for word in (*sys.argv[1:], *("128", "8", "3")[len(sys.argv) - 1 :])))
