"""Another user of the cluster looks everywhere for a secret that a running job has: it must be nowhere."""

from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import pytest
from cluster import Cluster
from launching import User, job_of, read_until

from harness.launch.processes import processes_of

KEY, OTHER_KEY = (f"secret-{token_hex(16)}" for _ in range(2))

# The key comes by standard input, and goes on by builtins alone: in an argument the spy would find itself.
SPY = """
read -r key
folder=$1 job=$2
look() { # NAME COMMAND…
  local name=$1
  shift
  ! "$@" 2>/dev/null | grep -aqFf <(printf '%s\\n' "$key") || echo "$name"
}
list() { # NAME COMMAND…: what anyone may ask, and is answered
  look "$@"
  shift
  "$@" >/dev/null || echo "$* fails"
}
look ps ps auxeww
look cmdline sh -c 'cat /proc/[0-9]*/cmdline'
look environ sh -c 'cat /proc/[0-9]*/environ'
list 'show job' scontrol -dd show job
list 'show step' scontrol -dd show step
list squeue squeue --format=%all
list 'squeue --steps' squeue --steps --format=%all
list sacct sacct --allusers --parsable2 --format=ALL
list SubmitLine sacct --allusers --parsable2 --format=SubmitLine
list 'sacct --batch-script' sacct --jobs="$job" --batch-script
list 'sacct --env-vars' sacct --jobs="$job" --env-vars
look 'batch script' scontrol write batch_script "$job" -
grep -arlFf <(printf '%s\\n' "$key") "$folder" 2>/dev/null
true
"""


def spied(slurm: Cluster, key: str, job: str) -> set[str]:
    """Where `nobody` finds a key: in which listing, and in which files of the cluster, its jobs' folder among them."""
    found = slurm.run("bash", "-c", SPY, "spy", str(slurm.folder), job, user="nobody", script=f"{key}\n").stdout
    return {line.removeprefix(f"{slurm.folder}/") for line in found.splitlines()}


def holding(folder: Path, key: str) -> list[Path]:
    """The files that hold a key, for one who may read them all."""
    return [path for path in folder.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]


@pytest.fixture
def user(slurm_accounting: Cluster) -> User:
    """One whose folder all can read."""
    return User(slurm_accounting.jobs / "team", slurm_accounting)


def test_a_running_jobs_key_is_found_by_nobody(user: User) -> None:
    slurm = user.cluster
    user.environ |= {"WANDB_API_KEY": KEY, "HOLD": "2"}
    words = ("MODEL=Mixtral-8x2B", "CLUSTER=here", "SBATCH_ARGS=--oversubscribe", "TRAIN_ITERS=6")
    launched = user("launch", *words, "NNODES=2")
    assert "WandB: online, as WANDB_API_KEY is set" in launched.err
    sweeping = user.start("sweep", "--every", "0.5", *words, "EP=1", "MBS=1,2", "--yes")
    user.wait("three runs train", lambda: [running(folder) for folder in run_folders(user)] == [True] * 3)
    watching = user.start("runs", "watch", "--every", "0.5")
    read_until(watching, "step 2/6")
    job = job_of(launched)
    slurm.wait("accounting tells of it", lambda: job in accounted(slurm))
    assert spied(slurm, KEY, job) == set()
    assert holding(user.folder, KEY) == []
    user.go.touch()
    for process in (watching, sweeping):
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert spied(slurm, KEY, job) == set()
    assert holding(user.folder, KEY) == []


def accounted(slurm: Cluster) -> list[str]:
    """The jobs of which sacct tells `nobody`."""
    return slurm.run("sacct", "--allusers", "--noheader", "--parsable2", "--format=JobID", user="nobody").stdout.split()


def run_folders(user: User) -> list[Path]:
    """Those of all runs that were submitted."""
    return [path.parent for path in user.output.glob("*/record.json")]


def running(folder: Path) -> bool:
    """Whether a run's ranks are there, with the key in their environment."""
    for pid in processes_of(folder):
        with suppress(FileNotFoundError, ProcessLookupError):
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if f"WANDB_API_KEY={KEY}".encode() in environ and any(it.startswith(b"RANK=") for it in environ):
                return True
    return False


def test_the_spy_finds_a_key_that_is_given_away(slurm_accounting: Cluster) -> None:
    slurm = slurm_accounting
    script = f"echo {OTHER_KEY}\nsrun --job-name={OTHER_KEY} bash -c 'sleep 60; : {OTHER_KEY}'"
    job = slurm.sbatch(
        f"--export=ALL,WANDB_API_KEY={OTHER_KEY}", f"--comment={OTHER_KEY}", script=script, user="nobody"
    )
    everywhere = {
        "ps",
        "cmdline",
        "environ",
        "show job",
        "show step",
        "squeue",
        "squeue --steps",
        "sacct",
        "SubmitLine",
    }
    everywhere |= {"batch script", f"jobs/{job}.log"}
    slurm.wait("all of it is found", lambda: everywhere <= spied(slurm, OTHER_KEY, job))
