"""From a configuration to a job, or to every reason why not."""

from collections.abc import Callable

import pytest
from rendered_training import rendered_training

from harness.config.provenance import Origin, Resolved
from harness.errors import ConfigError
from harness.launch.job_problems import unused_settings
from harness.training.job import training_job

type Configured = Callable[..., Resolved]


def test_without_a_checkout_the_embedded_engine_runs_by_our_own_python(configured: Configured) -> None:
    job = training_job(configured({"--num-layers": "2"}, CONTAINER_IMAGE="/i"), "local", python="py")
    assert job.program.argv == ("py", "-u", "-m", "harness.engine.pretrain", "--num-layers", "2")
    assert job.container is None


def test_a_checkout_on_the_host_runs_by_the_hosts_python(configured: Configured) -> None:
    job = training_job(configured(MEGATRON_PATH="/m"), "interactive", python="py")
    assert job.program.argv[:3] == ("python", "-u", "/m/pretrain_gpt.py")
    assert job.program.python == "python"


def test_megatron_path_brings_its_own_script(configured: Configured) -> None:
    resolved = configured(MEGATRON_PATH="/opt/megatron", CONTAINER_IMAGE="/i.sqsh")
    assert training_job(resolved, "slurm").program.argv == ("python", "-u", "/opt/megatron/pretrain_gpt.py")


def test_a_container_without_a_checkout_gets_the_engine_by_mount(configured: Configured) -> None:
    resolved = configured(env={"PYTHONPATH": "/mine"}, CONTAINER_IMAGE="/i.sqsh")
    job = training_job(resolved, "slurm", package="/src/harness")
    assert [str(mount) for mount in job.container.mounts] == ["/src/harness:/opt/moe-harness/harness:ro"]
    assert job.program.env["PYTHONPATH"] == "/opt/moe-harness:/mine"


def test_nsys_records_where_megatron_opens_a_capture_range(configured: Configured) -> None:
    nsys = training_job(configured({"--profile": True}, DEVICE="gpu"), "local")
    torch = training_job(configured({"--profile": True, "--use-pytorch-profiler": True}, DEVICE="gpu"), "local")
    cpu = training_job(configured({"--profile": True}), "local")
    assert nsys.program.argv[:2] == ("nsys", "profile")
    assert "nsys" not in torch.program.argv
    assert "nsys" not in cpu.program.argv


def test_the_folder_is_named_at_launch(configured: Configured) -> None:
    job = training_job(configured({"--save": "${RUN_DIR}/ckpt"}, env={"TB": "${RUN_DIR}/tb"}), "local")
    assert job.program.command_in("/runs/1")[-1] == "/runs/1/ckpt"
    assert job.program.env_in("/runs/1") == {"TB": "/runs/1/tb"}


def test_all_problems_at_once_with_their_lines(configured: Configured) -> None:
    resolved = configured(
        {"--title": "a\rb"},
        env={"WANDB_API_KEY": "k", "BAD-NAME": "x", "RUN_DIR": "x", "attempt": "1", "no_proxy": "x"},
        origins={"CONTAINER_MOUNTS": Origin(layer="cluster conf", path="c.conf", line=7)},
        RUN_NAME="a b",
        RUN_TIME="soon",
        ACCOUNT="x\n#SBATCH --uid=0",
        CONTAINER_MOUNTS="data:/data",
        CONTAINER_IMAGE="",
        SBATCH_ARGS="--output=x",
    )
    with pytest.raises(ConfigError) as caught:
        training_job(resolved, "slurm")
    assert caught.value.problems == (
        "RUN_NAME='a b' cannot name a job and its folder;"
        " allowed: letters, digits, '_', '.' and '-', beginning with a letter or digit",
        "RUN_TIME='soon': MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS or DAYS-HOURS[:MINUTES[:SECONDS]]",
        "c.conf:7: CONTAINER_MOUNTS='data:/data': entry 'data:/data': 'data' is not an absolute path;"
        " allowed: SRC, SRC:DST or SRC:DST:ro with absolute paths, separated by commas",
        "SBATCH_ARGS='--output=x': '--output=x' is the launcher's own to set; leave it out",
        "Megatron's argument 'a\\rb' holds a carriage return, for which sbatch refuses the whole script",
        "WANDB_API_KEY is a secret and would stand readable in the job's script;"
        " take it out and `export WANDB_API_KEY=…` in the shell that launches",
        "'BAD-NAME' cannot name an environment variable; allowed: letters, digits and '_'",
        "RUN_DIR is the launcher's own to set; leave it out",
        "attempt may be a variable of the job's script; allowed: upper case, and proxies",
        "ACCOUNT='x\\n#SBATCH --uid=0' cannot be a word for Slurm; allowed: letters, digits, _.,@:+-",
        "CONTAINER_IMAGE is empty, and srun would run on the bare host; name an image, or leave it unset",
    )


@pytest.mark.parametrize(
    ("args", "fix"),
    [
        *(
            (args, "leave it out")
            for args in (
                *("-o x", "-ofile", "--output=x", "--outp=x", "-e x", "--error=x", "-D /x", "--chdir=/x", "-a 1-3"),
                *("--array=1-3", "--export NONE", "--export-file=x", "--open-mode=truncate", "--wrap=ls"),
                *("--signal=USR1", "--parsable", "-Q", "--quiet", "--test-only"),
            )
        ),
        *((args, "set NNODES instead") for args in ("-N4", "--nodes=4")),
        *(
            (args, "set NNODES and GPUS_PER_NODE instead")
            for args in ("-n 8", "--ntasks=8", "--ntasks-per-node=4", "--ntasks-per-no=4")
        ),
        *((args, "set RUN_TIME instead") for args in ("-t 5", "--time=5")),
        *((args, "set RUN_NAME instead") for args in ("--job-name=x", "-J x")),
        *((args, "set PARTITION instead") for args in ("--partition=big", "-pbig")),
        *((args, "set ACCOUNT instead") for args in ("--account physics", "-A physics")),
        *((args, "set RETRIES instead") for args in ("--requeue", "--no-requeue")),
        *((args, "set SUBMIT_WAIT instead") for args in ("--wait", "-W")),
    ],
)
def test_what_the_launcher_sets_itself_cannot_be_set_twice(configured: Configured, args: str, fix: str) -> None:
    with pytest.raises(ConfigError, match=f"the launcher's own to set; {fix}"):
        training_job(configured(SBATCH_ARGS=args), "slurm")


@pytest.mark.parametrize(
    "args",
    [
        "--distribution=block:cyclic",
        "-m *:fcyclic",
        "--time-min=5",
        "--nodelist=a",
        "--nodefile=x",
        "--oversubscribe",
        "--exclusive",
        "--mem=4G",
        "--gres=gpu:a100:4",
    ],
)
def test_other_options_of_sbatch_pass(configured: Configured, args: str) -> None:
    assert training_job(configured(SBATCH_ARGS=args), "slurm").resources.sbatch_args == (args,)


@pytest.mark.parametrize(("sign", "name"), [("\\", "a backslash"), ("\n", "a line break")])
def test_a_log_s_path_that_slurm_takes_otherwise_is_refused(configured: Configured, sign: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"holds {name}, which Slurm takes in no log's path"):
        training_job(configured(OUTPUT_PATH=f"/my{sign}runs"), "slurm")


@pytest.mark.parametrize(
    "args", ["high", "-", "--", "--comment='a b'", "--comment='a#b'", "--qos='x", "--mail-user=$(id)"]
)
def test_sbatch_args_that_no_line_can_carry(configured: Configured, args: str) -> None:
    with pytest.raises(ConfigError, match="SBATCH_ARGS="):
        training_job(configured(SBATCH_ARGS=args), "slurm")


def test_one_node_places_are_one_node(configured: Configured) -> None:
    with pytest.raises(ConfigError) as caught:
        training_job(configured(NNODES=8), "interactive")
    assert str(caught.value) == "NNODES=8, but --on interactive is one node; set NNODES=1, or use --on slurm"


def test_enroot_starts_files_only(configured: Configured) -> None:
    with pytest.raises(ConfigError, match="`enroot start` takes no URI"):
        training_job(configured(CONTAINER_IMAGE="nvcr.io#nvidia/pytorch:25.04-py3"), "interactive")


def test_an_output_path_that_no_mount_can_carry(configured: Configured) -> None:
    with pytest.raises(ConfigError, match="OUTPUT_PATH cannot be mounted in the container"):
        training_job(configured(CONTAINER_IMAGE="/i.sqsh", OUTPUT_PATH="/my runs"), "slurm")
    assert training_job(configured(OUTPUT_PATH="/my runs"), "slurm").container is None


@pytest.mark.parametrize(
    "args",
    [
        *("--container-image=x", "--no-container-mount-home", "--export=ALL", "--export-file=x", "none"),
        *("--output x", "--outp=x", "-o x", "--error=x", "-e x", "--input=x", "-i x", "--chdir=/x", "-D /x"),
        *("-N 2", "--nodes=2", "-n4", "--ntasks=4", "--ntasks-per-node=4", "-l", "--label", "-K", "--kill-on-bad-exit"),
        *("--jobid=7", "--multi-prog", "--pty", "--overlap", "-m cyclic", "--distribution=plane=4", "--mpi='pmix"),
    ],
)
def test_srun_args_set_nothing_of_the_launcher_s(configured: Configured, args: str) -> None:
    with pytest.raises(ConfigError, match="SRUN_ARGS="):
        training_job(configured(SRUN_ARGS=args), "slurm")
    assert training_job(configured(SRUN_ARGS="--mpi pmix --cpu-bind=none"), "slurm").resources.srun_args == (
        "--mpi",
        "pmix",
        "--cpu-bind=none",
    )


def test_further_options_of_sbatch_are_for_slurm_and_checked_alike(configured: Configured) -> None:
    options = ("--segment=4", "--dependency=afterok:12?afterany:13")
    assert training_job(configured(SBATCH_ARGS="--qos=x"), "slurm", slurm_options=options).resources.sbatch_args == (
        "--qos=x",
        *options,
    )
    with pytest.raises(ConfigError, match="which no #SBATCH line can carry"):
        training_job(configured(), "slurm", slurm_options=("--reservation=a\n#SBATCH --uid=0",))
    with pytest.raises(ConfigError, match="--segment=4 is for Slurm, and --on local is not"):
        training_job(configured(), "local", slurm_options=("--segment=4",))


@pytest.mark.parametrize(("layer", "said"), [("command line", True), ("environment", True), ("cluster conf", False)])
def test_what_was_typed_for_slurm_has_no_say_elsewhere(configured: Configured, layer: str, said: bool) -> None:
    typed = {"RETRIES": 2, "SBATCH_ARGS": "--qos=high", "SRUN_ARGS": "--mpi=pmix"}
    resolved = configured(origins=dict.fromkeys(typed, Origin(layer=layer)), **typed)
    told = "RETRIES and SBATCH_ARGS and SRUN_ARGS: for Slurm alone, without a say in --on local"
    assert unused_settings(resolved, "local") == ([told] if said else [])
    assert unused_settings(resolved, "slurm") == []
    assert unused_settings(configured(origins={"RETRIES": Origin(layer=layer)}, RETRIES=0), "local") == []


def test_without_a_runtime_the_image_is_not_used(configured: Configured) -> None:
    job = training_job(configured(CONTAINER_IMAGE="/i", CONTAINER_RUNTIME="none"), "slurm", python="py")
    assert (job.container, job.program.python) == (None, "py")


def test_enroot_in_each_task_starts_files_only(configured: Configured) -> None:
    with pytest.raises(ConfigError, match="`enroot start` takes no URI"):
        training_job(
            configured(CONTAINER_IMAGE="nvcr.io#nvidia/pytorch:25.04-py3", CONTAINER_RUNTIME="enroot"), "slurm"
        )


@pytest.mark.parametrize(
    ("run_time", "seconds"), [("08:00:00", 120), ("00:08:00", 120), ("00:07:56", 119), ("00:01:00", 15)]
)
def test_ranks_are_asked_to_save_before_the_limit(configured: Configured, run_time: str, seconds: int) -> None:
    resolved = configured({"--save": "${RUN_DIR}/checkpoints"}, RUN_TIME=run_time)
    script = rendered_training(resolved, "slurm").script
    assert f"#SBATCH --signal=B:USR1@{seconds}\n" in script


@pytest.mark.parametrize(
    "flag",
    [
        *("--load", "--finetune", "--no-load-optim", "--no-load-rng", "--load-main-params-from-ckpt"),
        *("--exit-on-missing-checkpoint", "--pretrained-checkpoint", "--ckpt-step"),
    ],
)
def test_what_says_how_a_run_begins_holds_no_more_when_it_goes_on(configured: Configured, flag: str) -> None:
    flags = {"--num-layers": "4", flag: "x", "--save": "${RUN_DIR}/checkpoints"}
    program = training_job(configured(flags), "slurm").program
    assert program.fresh == (flag, "x")
    assert flag not in program.argv
    assert program.argv[-4:] == ("--num-layers", "4", "--save", "${RUN_DIR}/checkpoints")


def test_a_job_is_named_as_asked_or_for_its_model(configured: Configured) -> None:
    assert training_job(configured(), "slurm").name == "bench"
    assert training_job(configured(RUN_NAME=None), "slurm").name == "DeepSeek-V2-Lite"


def test_flags_of_a_fresh_start_come_last_where_the_run_saves(configured: Configured) -> None:
    flags = {"--load": "/start", "--finetune": True, "--save": "${RUN_DIR}/checkpoints", "--swiglu": True}
    saving = training_job(configured(flags), "slurm", python="py")
    assert (
        saving.program.command[len(saving.program.argv) :] == saving.program.fresh == ("--load", "/start", "--finetune")
    )
    assert training_job(configured({**flags, "--save": "/elsewhere"}), "slurm").program.fresh is None
    assert training_job(configured(flags), "local").program.argv[-1] == "--swiglu"
