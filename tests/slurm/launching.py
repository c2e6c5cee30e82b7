"""A user's folder on a real Slurm: a cluster conf, a small stand-in for Megatron, and `moe-harness` in it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cli_command import Answer, moe_harness, start_moe_harness
from cluster import Cluster

from harness.launch.rundir import RunPaths
from harness.runs.samples_file import load_samples

# The last rank prints Megatron's iteration lines. FAIL=RANK@STEP raises; `go` in the run's folder lets HOLD=STEP go on.
MEGATRON = """
import os, sys, time
rank, last = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]) - 1
flags = dict(zip(sys.argv[1:], sys.argv[2:]))
steps = int(flags["--train-iters"])
for step in range(1, steps + 1):
    time.sleep(0.02)
    if rank == last:
        print(f" [2026-01-01 00:00:00.000000] iteration {step:8}/{steps:8} | consumed samples: {16 * step:12} |"
              " elapsed time per iteration (ms): 200.0 | throughput per GPU (TFLOP/s/GPU): 1.5 |"
              f" learning rate: 1.0E-04 | global batch size:    16 |"
              f" lm loss: {10 - step / 10:.6E} | loss scale: 1.0 | grad norm: 1.0 |"
              " number of skipped iterations:   0 | number of nan iterations:   0 |", flush=True)
    if os.environ.get("FAIL") == f"{rank}@{step}":
        raise ValueError("as planned")
    while os.environ.get("HOLD") == str(step) and not os.path.exists(os.environ["GO"]):
        time.sleep(0.05)
"""
CONF = {
    "NNODES": "1",
    "GPUS_PER_NODE": "2",
    "DEVICE": "cpu",
    "PROXY": "laptop",
    "PR": "fp32",
    "DATASET": "mock",
    "CONTAINER_RUNTIME": "none",
    "MEGATRON_PATH": "{folder}",
    "OUTPUT_PATH": "{output}",
    "RUN_TIME": "00:05:00",
}


class User:
    """Launches the stand-in, or another `program`; `settings` win over those of the conf.

    `start` and what it returns are for commands that run while others do.
    """

    def __init__(
        self, folder: Path, cluster: Cluster, output: Path | None = None, program: str = MEGATRON, **settings: str
    ) -> None:
        self.folder = folder
        self.cluster = cluster
        self.output = output or folder / "runs"
        self.go = folder / "go"
        programs = folder / "bin"
        programs.mkdir(parents=True)
        (programs / "python").symlink_to(sys.executable)
        (folder / "pretrain_gpt.py").write_text(program)
        (folder / "cluster_configs/benchmarking").mkdir(parents=True)
        lines = ("[cluster]", *(f"{name} = {value}" for name, value in (CONF | settings).items()), "")
        conf = "\n".join(lines).format(folder=folder, output=self.output)
        (folder / "cluster_configs/benchmarking/here.conf").write_text(conf)
        self.environ: dict[str, str] = {
            **cluster.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CLUSTER": "here",  # its conf tells where the runs are
            "GO": str(self.go),
        }

    def wrap(self, program: str, text: str) -> None:
        """Put something before one of Slurm's programs, which is `{program}` there; `{folder}` is the user's."""
        path = self.folder / "bin" / program
        path.write_text(text.format(program=shutil.which(program), folder=self.folder))
        path.chmod(0o755)

    def __call__(self, *words: str, environ: Mapping[str, str] | None = None) -> Answer:
        return moe_harness(*words, here=self.folder, environ={**self.environ, **(environ or {})})

    def launch(self, *words: str, **environ: str) -> Answer:
        """Launch six steps on one node; words win over that, `environ` reaches the ranks."""
        return self(*self.launch_words(*words), environ=environ)

    @staticmethod
    def launch_words(*words: str) -> tuple[str, ...]:
        return ("launch", "MODEL=Mixtral-8x2B", "CLUSTER=here", "TRAIN_ITERS=6", *words)

    def start(self, *words: str, **environ: str) -> "subprocess.Popen[str]":
        """A command as a process of its own, both its outputs pipes."""
        return start_moe_harness(*words, here=self.folder, environ={**self.environ, **environ})

    @property
    def run_folder(self) -> Path:
        """That of the only run."""
        (folder,) = (path for path in self.output.glob("[!.]*") if (path / "script.sh").exists())
        return folder

    def reconciled(self) -> dict[str, Any]:
        """The record of the only run, once it has ended."""
        deadline = time.monotonic() + 60
        while (record := self.record())["status"] in ("submitted", "running"):
            assert time.monotonic() < deadline, record
            self("runs", "list")
            time.sleep(0.5)
        return record

    def record(self) -> dict[str, Any]:
        """The record of the only run as it was last written."""
        (path,) = self.output.glob("*/record.json")
        record: dict[str, Any] = json.loads(path.read_text())
        return record

    def samples(self) -> list[Any]:
        """Those of the only run."""
        (path,) = self.output.glob("*/record.json")
        return load_samples(RunPaths(path.parent))

    def wait(self, what: str, reached: Callable[[], bool]) -> None:
        """Until something is so."""
        self.cluster.wait(what, reached, 60, lambda: self("runs", "list").out)


def job_of(answer: Answer) -> str:
    """The id of the job that a launch submitted."""
    assert answer.out.startswith("submitted job "), answer.err
    return answer.out.split()[2]


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """What a command said on stderr up to the line with `text`."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if text in line:
            return said
    raise AssertionError(f"never said {text!r}:\n{said}")
