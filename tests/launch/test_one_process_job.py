"""A job of one process asks Slurm for what it needs, and for nothing that a cluster's benchmarks ask for."""

from collections.abc import Callable

import pytest

from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.launch.one_process_job import one_process_job, render_one_process

type Configured = Callable[..., Resolved]


def script(resolved: Resolved, *argv: str, folder: str = "/runs/1", time_limit: str | None = None) -> str:
    job = one_process_job(resolved, "convert", argv, folder=folder, cpus=4, time_limit=time_limit)
    return render_one_process(job)


def options(script: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")]


def test_it_asks_for_a_process_its_cores_and_some_memory(configured: Configured) -> None:
    found = options(script(configured(ACCOUNT="mine", PARTITION="cpu"), "true", time_limit="01:00:00"))
    asked = {"--account=mine", "--partition=cpu", "--nodes=1", "--ntasks=1", "--cpus-per-task=4", "--time=01:00:00"}
    assert asked < set(found)
    assert "--mem=2G" in found
    plain = options(script(configured(), "true"))
    assert not [option for option in plain if option.startswith(("--account", "--partition", "--time"))]


@pytest.mark.parametrize("option", ["--exclusive", "--exclusive=user", "--gpus=8", "--gpus-per-node 8", "--gres=gpu:8"])
def test_what_a_benchmark_asks_for_is_left_out(configured: Configured, option: str) -> None:
    found = options(script(configured(SBATCH_ARGS=f"{option} --qos=high --mem=400G --mem-per-cpu=4G"), "true"))
    assert found[-1] == "--qos=high"
    assert not [it for it in found if it.startswith(("--exclusive", "--gpus", "--gres", "--mem-per", "--mem=4"))]


def test_what_no_line_can_carry_is_refused(configured: Configured) -> None:
    with pytest.raises(ConfigError, match=r"^'a\\rb' holds a carriage return"):
        script(configured(), "a\rb")
    with pytest.raises(ConfigError, match=r"^'/f\\rg' holds a carriage return"):
        script(configured(), "true", folder="/f\rg")


def test_words_arrive_as_they_were_written(configured: Configured) -> None:
    text = script(configured(), "python", "it's $HOME", folder="/my runs")
    assert "cd -- '/my runs'" in text
    assert "it'\"'\"'s $HOME" in text
