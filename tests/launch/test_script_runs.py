"""Rendered scripts run for real by bash, with stand-ins for pyxis and enroot, and so for srun; see tests/slurm too."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.config.provenance import Resolved
from harness.launch.job import Job, Program, Resources
from harness.launch.log.tail import RankTails
from harness.launch.script import container
from harness.launch.script.render import render_script
from harness.training.job import training_job

type Configured = Callable[..., Resolved]
type Executable = Callable[[str, str], Path]

HOSTILE = {
    "--spaces": " a  b ",
    "--quotes": 'it\'s "quoted"',
    "--dollars": "$(touch pwned) `touch pwned` ${HOME} $HOME",
    "--lines": "one\n#SBATCH --uid=0\ntwo\n",
    "--globs": "* ? [a-z] ~ ! \\ & | ; < >",
    "--empty": "",
    "--pieces": ("0.3", "-1", "ünïcode"),
}

# Runs the command once a task, one after the other; like pyxis it mounts, here by links.
SRUN = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys
words = sys.argv[1:]
first = words.index("enroot" if "enroot" in words else "bash")
options, command = words[:first], words[first:]
folder = pathlib.Path(os.environ["RUN_DIR"])
(folder / "srun.json").write_text(json.dumps({{"options": options, "stdin": sys.stdin.read()}}))
named = dict(option.split("=", 1) for option in options if "=" in option)
if os.environ.get("NO_PYXIS") is None:
    for mount in filter(None, named.get("--container-mounts", "").split(",")):
        source, target = mount.split(":")[:2]
        if not os.path.lexists(target):
            os.symlink(source, target)
codes = []
for rank in range(int(os.environ.get("LAUNCHED", "2"))):
    task = {{"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NTASKS": os.environ.get("NTASKS", "2")}}
    codes.append(subprocess.run(command, env=os.environ | task).returncode)
sys.exit(max(codes))
"""

# Stands for the image's python: writes down what reached it, and ends with FAIL's code on the rank that FAIL names.
PYTHON = f"""#!{sys.executable}
import json, os, pathlib, sys
if sys.argv[1] == "-c":
    sys.exit()
rank = os.environ["RANK"]
seen = {{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}}
pathlib.Path(os.environ["RUN_DIR"], f"seen{{rank}}.json").write_text(json.dumps(seen))
failing, code = os.environ.get("FAIL", "none 0").split()
sys.exit(int(code) if rank == failing else 0)
"""


@pytest.fixture
def run_dir(tmp_path: Path, program: Executable, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder on a make-believe cluster, whose containers have their mark beside it."""
    program("srun", SRUN)
    program("python", PYTHON)
    program("scontrol", '#!/bin/sh\n[ "$1 $2 $3" = "show hostnames node[7-8]" ] && printf "node7\\nnode8\\n"\n')
    program("scancel", "#!/bin/sh\n")
    monkeypatch.setattr(container, "RUN_MARK", str(tmp_path / "mark"))
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def run_script(job: Job, run_dir: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a job's script as Slurm's batch step would."""
    script = run_dir / "script.sh"
    script.write_text(render_script(job))
    slurm = {"SLURM_JOB_ID": "4242", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_NUM_NODES": "2"}
    slurm |= {"SLURMD_NODENAME": "node7", "RUN_DIR": str(run_dir)}
    return subprocess.run(["/bin/bash", script], env=os.environ | slurm | env, capture_output=True, text=True)


def seen_by(run_dir: Path, rank: int) -> dict[str, Any]:
    """What a rank's program wrote down."""
    seen: dict[str, Any] = json.loads((run_dir / f"seen{rank}.json").read_text())
    return seen


def test_hostile_values_arrive_as_they_were_written(configured: Configured, run_dir: Path) -> None:
    env = {"NOTE": "a 'b' \"c\" $(touch pwned)\n`d` \\", "FOLDER": "${RUN_DIR}/x y"}
    checkout = run_dir.parent / "my megatron's $(x)"
    checkout.mkdir()
    (checkout / "pretrain_gpt.py").touch()
    resolved = configured(HOSTILE, env=env, MEGATRON_PATH=str(checkout))
    done = run_script(training_job(resolved, "slurm", python="python"), run_dir)
    assert done.returncode == 0, done.stderr
    for rank in range(2):
        seen = seen_by(run_dir, rank)
        assert seen["argv"] == ["-u", f"{checkout}/pretrain_gpt.py", *resolved.megatron_args.argv()]
        assert seen["env"]["NOTE"] == env["NOTE"]
        assert seen["env"]["FOLDER"] == f"{run_dir}/x y"
        assert seen["cwd"] == str(run_dir)
    assert not list(run_dir.parent.rglob("pwned"))


def test_one_process_here_writes_where_a_rank_would(run_dir: Path) -> None:
    """Without torchrun; its exit code is the script's."""
    program = Program(
        argv=("bash", "-c", "echo said; echo moaned >&2; exit 3"), env={}, python="python", distributed=False
    )
    resources = Resources(nodes=1, ranks_per_node=1, device="cpu")
    done = run_script(Job(kind="k", name="n", executor="local", resources=resources, program=program), run_dir)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    assert list(RankTails(run_dir / "ranks").read()) == [b"0: moaned", b"0: said"]


def test_each_rank_knows_its_place(configured: Configured, run_dir: Path) -> None:
    run_script(training_job(configured(), "slurm", python="python"), run_dir)
    env = seen_by(run_dir, 1)["env"]
    assert {name: env[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")} == {
        "RANK": "1",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "node7",
        "MASTER_PORT": "14242",
    }


def test_each_rank_leaves_its_own_exit_code(configured: Configured, run_dir: Path) -> None:
    done = run_script(training_job(configured(), "slurm", python="python"), run_dir, FAIL="1 9")
    assert done.returncode == 9
    codes = [(run_dir / f"attempts/0/ranks/{rank}.exit").read_text().split()[0] for rank in range(2)]
    assert codes == ["0", "9"]


def test_a_rank_that_was_never_launched_fails_the_job(configured: Configured, run_dir: Path) -> None:
    done = run_script(training_job(configured(), "slurm", python="python"), run_dir, LAUNCHED="1")
    assert done.returncode == 1
    assert "1 of 2 ranks did not end well" in done.stderr


def test_srun_cannot_eat_the_script(configured: Configured, run_dir: Path) -> None:
    run_script(training_job(configured(), "slurm", python="python"), run_dir)
    assert json.loads((run_dir / "srun.json").read_text())["stdin"] == ""


def image(tmp_path: Path) -> str:
    """A file that can be read, which is all that the batch shell asks of an image."""
    path = tmp_path / "image.sqsh"
    path.touch()
    (tmp_path / "pretrain_gpt.py").touch()
    return str(path)


def test_a_rank_in_the_container_runs(configured: Configured, run_dir: Path, tmp_path: Path) -> None:
    job = training_job(
        configured(env={"NCCL_DEBUG": "INFO"}, CONTAINER_IMAGE=image(tmp_path), MEGATRON_PATH=str(tmp_path)), "slurm"
    )
    done = run_script(job, run_dir, WANDB_API_KEY="sentinel")
    assert done.returncode == 0, done.stderr
    options = json.loads((run_dir / "srun.json").read_text())["options"]
    assert f"--container-image={tmp_path}/image.sqsh" in options
    assert f"--container-mounts={run_dir}:{run_dir},{run_dir}:{tmp_path}/mark" in options
    assert f"--container-workdir={run_dir}" in options
    assert "--container-env=HF_TOKEN,MASTER_ADDR,MASTER_PORT,NCCL_DEBUG,RUN_DIR,WANDB_API_KEY" in options
    assert not any("sentinel" in option for option in options)
    env = seen_by(run_dir, 0)["env"]
    assert (env["WANDB_API_KEY"], env["HOME"], env["NCCL_DEBUG"]) == ("sentinel", "/tmp", "INFO")


def test_a_rank_on_the_bare_host_refuses(configured: Configured, run_dir: Path, tmp_path: Path) -> None:
    job = training_job(configured(CONTAINER_IMAGE=image(tmp_path), MEGATRON_PATH="/m"), "slurm")
    done = run_script(job, run_dir, NO_PYXIS="1")
    assert done.returncode == 125
    assert "rank 0 on node7: is not in the container: does this cluster have pyxis?" in done.stderr
    assert not (run_dir / "seen0.json").exists()


def test_an_image_that_is_not_there_ends_the_job_before_srun(configured: Configured, run_dir: Path) -> None:
    job = training_job(configured(CONTAINER_IMAGE="/no/such.sqsh", MEGATRON_PATH="/m"), "slurm")
    done = run_script(job, run_dir)
    assert done.returncode == 125
    assert "cannot read the container image /no/such.sqsh" in done.stderr
    assert not (run_dir / "srun.json").exists()


def test_a_script_submitted_by_hand_asks_for_its_folder(configured: Configured, run_dir: Path) -> None:
    done = run_script(training_job(configured(), "slurm", python="python"), run_dir, RUN_DIR="")
    assert done.returncode != 0
    assert "RUN_DIR: is not set: use moe-harness launch" in done.stderr


# Starts the command in an environment of what it was given alone, as a container has; like enroot it mounts, here by
# links.
ENROOT = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys
words = sys.argv[1:]
image = next(index for index, word in enumerate(words) if word.endswith(".sqsh"))
names = [word.removeprefix("--env=") for word in words[:image] if word.startswith("--env=")]
pathlib.Path(os.environ["RUN_DIR"], "enroot.json").write_text(json.dumps(words))
for word in words[:image]:
    source, target = word.removeprefix("--mount=").split(":")[:2] if word.startswith("--mount=") else ("", "/")
    if not os.path.lexists(target):
        os.symlink(source, target)
env = {{name: os.environ[name] for name in names}} | {{"PATH": os.environ["PATH"]}}
sys.exit(subprocess.run(words[image + 1:], env=env).returncode)
"""


def test_enroot_starts_a_container_in_each_task(
    configured: Configured, run_dir: Path, tmp_path: Path, program: Executable
) -> None:
    program("enroot", ENROOT)
    resolved = configured(
        HOSTILE,
        env={"NOTE": "a 'b'\n$(c)"},
        CONTAINER_RUNTIME="enroot",
        CONTAINER_IMAGE=image(tmp_path),
        MEGATRON_PATH=str(tmp_path),
    )
    done = run_script(training_job(resolved, "slurm"), run_dir, WANDB_API_KEY="sentinel", OF_THE_HOST="1")
    assert done.returncode == 0, done.stderr
    env = seen_by(run_dir, 1)["env"]
    assert (env["RANK"], env["MASTER_ADDR"], env["HOME"], env["NOTE"]) == ("1", "node7", "/tmp", "a 'b'\n$(c)")
    assert env["WANDB_API_KEY"] == "sentinel"
    assert "OF_THE_HOST" not in env
    assert seen_by(run_dir, 1)["argv"][2:] == resolved.megatron_args.argv()
    assert "sentinel" not in (run_dir / "enroot.json").read_text()


def test_a_container_without_what_the_job_needs_says_all_of_it(
    configured: Configured, run_dir: Path, tmp_path: Path
) -> None:
    resolved = configured(
        CONTAINER_IMAGE=image(tmp_path), CONTAINER_MOUNTS="/a:/no/mount", MEGATRON_PATH="/m", DEVICE="gpu"
    )
    done = run_script(training_job(resolved, "slurm"), run_dir, NO_PYXIS="1", NTASKS="1")
    assert done.returncode == 125
    assert [line for line in done.stderr.splitlines() if "rank 0 on node7" in line] == [
        "moe-harness: rank 0 on node7: 1 ranks were started, 2 were asked for",
        "moe-harness: rank 0 on node7: is not in the container: does this cluster have pyxis?",
        "moe-harness: rank 0 on node7: the mount /no/mount is missing",
        "moe-harness: rank 0 on node7: no pretrain_gpt.py in MEGATRON_PATH=/m, as a rank sees it",
        "moe-harness: rank 0 on node7: 0 GPUs, GPUS_PER_NODE=2 were asked for",
    ]


def test_enroot_gets_secrets_by_name_and_the_environment_as_written(
    configured: Configured, run_dir: Path, tmp_path: Path, program: Executable
) -> None:
    program("enroot", f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    resolved = configured(
        HOSTILE,
        env={"NOTE": "a 'b'\n$(c)"},
        CONTAINER_IMAGE=image(tmp_path),
        CONTAINER_MOUNTS="/data:/d:ro",
        MEGATRON_PATH="/m",
    )
    done = run_script(training_job(resolved, "interactive"), run_dir, WANDB_API_KEY="sentinel")
    words = json.loads(done.stdout)
    assert words[:5] == [
        "start",
        "--rw",
        "--mount=/data:/d:x-create=auto,rbind,ro",
        f"--mount={run_dir}:{run_dir}:x-create=auto,rbind",
        "--env=WANDB_API_KEY",
    ]
    assert words[5] == f"{tmp_path}/image.sqsh"
    assert "NOTE=a 'b'\n$(c)" in words
    assert words[words.index("/m/pretrain_gpt.py") + 1 :] == resolved.megatron_args.argv()
    assert "sentinel" not in done.stdout
