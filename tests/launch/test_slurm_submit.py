"""What sbatch is called with, by a recording stand-in; what a real one answers is in tests/slurm/test_submit.py."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rendered_training import rendered_training

from harness.config.provenance import Resolved
from harness.errors import EnvironmentProblem
from harness.launch.slurm.submit import Refused, submit_script
from harness.runs.store import list_runs
from harness.runs.submission import submit_run
from harness.training.open_training import open_training

type Configured = Callable[..., Resolved]
type Program = Callable[[str, str], Path]

SBATCH = f"""#!{sys.executable}
import json, os, pathlib, sys
script = pathlib.Path(sys.argv[-1]).read_bytes()
assert script == sys.stdin.buffer.read()
folder = pathlib.Path(__file__).parent
(folder / "script").write_bytes(script)
(folder / "call.json").write_text(json.dumps({{"argv": sys.argv[1:], "env": dict(os.environ)}}))
print("4711;alps")
"""


def test_sbatch_gets_the_bytes_of_the_dry_run(
    configured: Configured, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = program("sbatch", SBATCH).parent
    monkeypatch.setenv("WANDB_API_KEY", "sentinel")
    monkeypatch.setenv("SBATCH_ACCOUNT", "would win over the script's")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "of the allocation we are in")
    output = tmp_path / "100% runs"
    resolved = configured({"--save": "${RUN_DIR}/c"}, OUTPUT_PATH=str(output), NNODES=4)
    dry_run = rendered_training(resolved, "slurm").script

    run = open_training(resolved, rendered_training(resolved, "slurm"))
    job = submit_script(run.paths)

    assert (job.job_id, job.cluster) == ("4711", "alps")
    assert (recorded / "script").read_bytes() == dry_run.encode() == run.paths.script.read_bytes()
    call = json.loads((recorded / "call.json").read_text())
    assert call["argv"] == [
        "--parsable",
        "--export=ALL",
        f"--chdir={run.paths.root}",
        f"--output={tmp_path}/100%% runs/{run.paths.run_id}/log",
        str(run.paths.script),
    ]
    assert call["env"]["RUN_DIR"] == str(run.paths.root)
    assert call["env"]["WANDB_API_KEY"] == "sentinel"
    assert not {"SBATCH_ACCOUNT", "SLURM_MEM_PER_CPU"} & call["env"].keys()


def test_sbatch_s_own_words_are_shown(configured: Configured, program: Program, tmp_path: Path) -> None:
    program("sbatch", "#!/bin/sh\necho 'sbatch: error: invalid partition specified: gpus' >&2\nexit 1\n")
    resolved = configured(OUTPUT_PATH=str(tmp_path))
    run = open_training(resolved, rendered_training(resolved, "slurm"))
    with pytest.raises(EnvironmentProblem) as caught:
        submit_script(run.paths)
    assert str(caught.value) == (
        "sbatch refused the job (exit 1): sbatch: error: invalid partition specified: gpus;"
        " set PARTITION to one that `sinfo -s` lists"
    )


@pytest.mark.parametrize(("answer", "job_id"), [("4711", "4711"), ("Welcome to the site\n4711", "4711"), ("", None)])
def test_the_job_id_is_read_past_a_site_s_greeting(
    configured: Configured, program: Program, tmp_path: Path, answer: str, job_id: str | None
) -> None:
    program("sbatch", f"#!/bin/sh\ncat >/dev/null\nprintf '{answer}\\n'\n")
    resolved = configured(OUTPUT_PATH=str(tmp_path))
    run = open_training(resolved, rendered_training(resolved, "slurm"))
    if job_id:
        assert submit_script(run.paths).job_id == job_id
    else:
        with pytest.raises(EnvironmentProblem, match="did not answer with a job id"):
            submit_script(run.paths)


@pytest.mark.parametrize(
    ("said", "may_be_submitted", "fix"),
    [
        ("Batch job submission failed: Socket timed out on send/recv operation", True, ""),
        ("Batch job submission failed: Unable to contact slurm controller (connect failure)", False, "try again"),
        ("Batch job submission failed: Requested node configuration is not available", False, "compare NNODES"),
        ("Batch job submission failed: Invalid account or account/partition combination", False, "set ACCOUNT"),
        ("Batch job submission failed: Invalid qos specification", False, "give --qos"),
        ("Batch job submission failed: Job violates accounting/QOS policy", False, "as many jobs as you may"),
        ("Batch job submission failed: a plugin of the site says no", False, ""),
    ],
)
def test_a_refusal_is_told_from_an_answer_that_came_too_late(
    configured: Configured, program: Program, tmp_path: Path, said: str, may_be_submitted: bool, fix: str
) -> None:
    program("sbatch", f"#!/bin/sh\necho 'sbatch: error: {said}' >&2\nexit 1\n")
    resolved = configured(OUTPUT_PATH=str(tmp_path))
    with pytest.raises(Refused) as caught:
        submit_script(open_training(resolved, rendered_training(resolved, "slurm")).paths)
    assert caught.value.may_be_submitted == may_be_submitted
    assert fix in str(caught.value) and (fix or str(caught.value).endswith(said))


def test_what_was_refused_leaves_no_run_and_what_may_have_been_taken_keeps_its_record(
    configured: Configured, program: Program, tmp_path: Path
) -> None:
    resolved = configured(OUTPUT_PATH=str(tmp_path / "runs"))
    program("squeue", "#!/bin/sh\nexit 1\n")
    program("sacct", "#!/bin/sh\nexit 1\n")
    program("sbatch", "#!/bin/sh\necho no >&2; exit 1\n")
    with pytest.raises(Refused, match="sbatch refused the job"):
        submit_run(open_training(resolved, rendered_training(resolved, "slurm")), resolved)
    assert list_runs(tmp_path / "runs").runs == ()
    program("sbatch", "#!/bin/sh\necho 'Socket timed out on send/recv operation' >&2; exit 1\n")
    with pytest.raises(EnvironmentProblem, match="whether Slurm took it will be known when it answers"):
        submit_run(open_training(resolved, rendered_training(resolved, "slurm")), resolved)
    (left,) = list_runs(tmp_path / "runs").runs
    assert (left.record.status, left.record.job.job_id) == ("submitted", None)


def test_without_sbatch_the_error_says_what_to_use(
    configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    resolved = configured(OUTPUT_PATH=str(tmp_path / "runs"))
    with pytest.raises(EnvironmentProblem) as caught:
        open_training(resolved, rendered_training(resolved, "slurm"))
    assert str(caught.value) == (
        "sbatch is not on PATH, so this machine cannot submit to Slurm; use a login node of the cluster,"
        " --on interactive (this node), --on local (the embedded engine), or DRY_RUN=1 to see the script"
    )
    assert not (tmp_path / "runs").exists()
