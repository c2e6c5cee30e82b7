"""A conversion asks Slurm for what one process needs, and for nothing that a cluster's benchmarks ask for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.config.provenance import Origin, Resolved
from harness.conversion.job import conversion_job
from harness.errors import ConfigError
from harness.launch.script.render import render_script

type Configured = Callable[..., Resolved]

TYPED = {"RUN_TIME": Origin(layer="command line")}


def script(resolved: Resolved, *arguments: str) -> str:
    return render_script(conversion_job(resolved, "slurm", Path("/to/the target"), arguments, threads=4))


def options(script: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")]


def test_it_asks_for_a_process_its_cores_and_some_memory(configured: Configured) -> None:
    assert options(script(configured(ACCOUNT="mine", PARTITION="cpu", RUN_TIME="01:00:00", origins=TYPED))) == [
        *("--job-name=convert-the_target", "--account=mine", "--partition=cpu", "--nodes=1", "--ntasks-per-node=1"),
        *("--cpus-per-task=4", "--time=01:00:00", "--mem=2G", "--no-requeue", "--open-mode=append"),
    ]
    plain = options(script(configured()))
    assert not [option for option in plain if option.startswith(("--account", "--partition", "--time"))]


@pytest.mark.parametrize(
    ("layer", "asked"), [("command line", True), ("environment", True), ("common.conf", False), ("cluster conf", False)]
)
def test_a_benchmark_s_time_limit_is_none_of_its_own_unless_typed(
    configured: Configured, layer: str, asked: bool
) -> None:
    resolved = configured(RUN_TIME="01:00:00", origins={"RUN_TIME": Origin(layer=layer)})
    assert ("--time=01:00:00" in options(script(resolved))) == asked


def test_its_step_gets_the_cores_that_its_job_has(configured: Configured) -> None:
    text = script(configured())
    assert "--cpus-per-task=4" in text[text.index("\nsrun ") : text.index("step=$!")]


@pytest.mark.parametrize("option", ["--exclusive", "--exclusive=user", "--gpus=8", "--gpus-per-node 8", "--gres=gpu:8"])
def test_what_a_benchmark_asks_for_is_left_out(configured: Configured, option: str) -> None:
    found = options(script(configured(SBATCH_ARGS=f"{option} --qos=high --mem=400G --mem-per-cpu=4G")))
    assert found[-1] == "--qos=high"
    assert not [it for it in found if it.startswith(("--exclusive", "--gpus", "--gres", "--mem-per", "--mem=4"))]


def test_what_no_line_can_carry_is_refused(configured: Configured) -> None:
    with pytest.raises(ConfigError, match=r"^'a\\rb' holds a carriage return"):
        script(configured(), "a\rb")
    with pytest.raises(ConfigError, match=r"^OUTPUT_PATH='/f\\rg' holds a carriage return"):
        script(configured(OUTPUT_PATH="/f\rg"))


def test_arguments_arrive_as_they_were_written(configured: Configured) -> None:
    text = script(configured(), "/my models", "it's $HOME")
    assert "'/my models'" in text
    assert "it'\"'\"'s $HOME" in text
