"""Jobs whose script is the launcher's own, and whose ranks run a small program in Megatron's place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import Cluster
from rendered_training import rendered_training

from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.provenance import Resolved, SettingValue
from harness.launch.attempts import AttemptFacts, read_attempts, read_exits
from harness.launch.rundir import RunPaths
from harness.launch.slurm.submit import submit_script

SETTINGS: dict[str, SettingValue] = {
    "MODEL": "DeepSeek-V2-Lite",
    "NNODES": 1,
    "GPUS_PER_NODE": 2,
    "RUN_TIME": "00:05:00",
    "DEVICE": "cpu",
}

PRELUDE = """
import os, signal, sys, time
from pathlib import Path
rank, run = int(os.environ["RANK"]), Path(os.environ["RUN_DIR"])
attempt = len(list((run / "attempts").iterdir())) - 1
def save(step, *names):
    folder = run / f"checkpoints/iter_{step:07}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or (".metadata", "metadata.json"):
        (folder / name).write_text("{}")
def say(text):
    os.write(1, f"{text}\\n".encode())
"""


@dataclass(frozen=True, kw_only=True)
class SlurmRun:
    """A run's folder on a cluster, and its job."""

    cluster: Cluster
    paths: RunPaths
    job_id: str

    @property
    def log(self) -> str:
        """All that it printed so far."""
        return self.paths.log.read_text() if self.paths.log.exists() else ""

    @property
    def attempts(self) -> tuple[AttemptFacts, ...]:
        """What each start left."""
        return read_attempts(self.paths)

    def codes(self, attempt: int = 0) -> dict[int, int]:
        """Each rank's own exit code."""
        return {rank: it.code for rank, it in read_exits(self.paths, attempt).items()}

    def wait_for(self, *states: str, timeout_s: float = 60) -> str:
        """The first of these states that the job reaches; its log where it does not."""
        try:
            return self.cluster.wait_for(self.job_id, *states, timeout_s=timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log}") from None

    def wait_until_said(self, text: str, times: int = 1, timeout_s: float = 60) -> None:
        """Until the log holds a text so many times."""
        self.cluster.wait(f"the log says {text!r}", lambda: self.log.count(text) >= times, timeout_s)

    def submit_again(self) -> "SlurmRun":
        """The same run by another job, as `sbatch script.sh` by hand would."""
        return SlurmRun(cluster=self.cluster, paths=self.paths, job_id=submit_script(self.paths).job_id)


def make_run(
    folder: Path,
    program: str,
    *,
    flags: Mapping[str, ArgValue] | None = None,
    slurm_options: Sequence[str] = (),
    **settings: SettingValue,
) -> RunPaths:
    """A run's folder with its script; a rank runs `program`, which finds `rank`, `attempt`, `run`, `save` and `say`."""
    (folder / "megatron").mkdir(parents=True)
    (folder / "megatron/pretrain_gpt.py").write_text(f"{PRELUDE}\n{program}\n")
    resolved = Resolved(
        settings=SETTINGS | {"MEGATRON_PATH": str(folder / "megatron")} | settings,
        megatron_args=MegatronArgs(flags or {}),
        env={},
        origins={},
    )
    paths = RunPaths(folder / "run")
    paths.root.mkdir()
    paths.script.write_text(rendered_training(resolved, "slurm", slurm_options=slurm_options).script)
    return paths
