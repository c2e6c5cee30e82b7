"""What an opened run's folder holds, and what it must not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rendered_training import rendered_training
from small_disk import small_disk

from harness.config.provenance import Origin, Resolved
from harness.errors import ConfigError, EnvironmentProblem
from harness.launch.executor import Executor
from harness.training.open_training import open_training

type Configured = Callable[..., Resolved]


def test_the_folder_tells_what_was_asked(configured: Configured, tmp_path: Path) -> None:
    origin = Origin(layer="model YAML", path="m.yaml", line=3)
    resolved = configured(
        {"--save": "${RUN_DIR}/c"}, env={"TB": "${RUN_DIR}/tb"}, origins={"MODEL": origin}, OUTPUT_PATH=str(tmp_path)
    )
    launch = rendered_training(resolved, "local", python="py")
    paths = open_training(resolved, launch).paths
    assert json.loads(paths.argv.read_text()) == [
        *("py", "-u", "-m", "harness.engine.pretrain", "--save", f"{paths.root}/c")
    ]
    assert json.loads(paths.env.read_text()) == {"TB": f"{paths.root}/tb"}
    assert paths.script.read_text() == launch.script
    document = json.loads(paths.resolved.read_text())
    assert document.keys() == {"settings", "argv", "env", "origins", "notices"}
    assert document["env"] == {"TB": "${RUN_DIR}/tb"}
    assert document["settings"]["MODEL"] == "DeepSeek-V2-Lite"
    assert document["argv"] == ["--save", "${RUN_DIR}/c"]
    assert document["origins"]["MODEL"] == [
        {"value": "DeepSeek-V2-Lite", "layer": "model YAML", "path": "m.yaml", "line": 3}
    ]


@pytest.mark.parametrize(
    ("executor", "settings", "said"),
    [
        ("slurm", {}, True),
        ("slurm", {"CONTAINER_RUNTIME": "none"}, False),
        ("slurm", {"CONTAINER_IMAGE": "nvcr.io#nvidia/pytorch:25.04-py3"}, False),
        ("local", {}, False),
    ],
)
def test_bare_nodes_that_nobody_asked_for_are_told(
    configured: Configured,
    program: Callable[..., Path],
    tmp_path: Path,
    executor: Executor,
    settings: dict[str, str],
    said: bool,
) -> None:
    program("sbatch", "#!/bin/sh\n")
    resolved = configured(OUTPUT_PATH=str(tmp_path / "runs"), **settings)
    run = open_training(resolved, rendered_training(resolved, executor, python="py"))
    assert ("CONTAINER_IMAGE is not set: the job runs on the bare nodes" in run.notices) == said


def test_a_secret_is_in_no_file(configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "sentinel")
    origins = {"WANDB_API_KEY": Origin(layer="environment")}
    resolved = configured(origins=origins, WANDB_API_KEY="sentinel", OUTPUT_PATH=str(tmp_path))
    root = open_training(resolved, rendered_training(resolved, "local")).paths.root
    files = [path for path in root.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert not [path for path in files if b"sentinel" in path.read_bytes()]
    assert '"WANDB_API_KEY": "(secret)"' in (root / "resolved.json").read_text()


def test_a_secret_that_was_typed_as_something_else_is_refused(
    configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under whatever name it is exported, and however the script would quote it; a dry run prints it no more."""
    monkeypatch.setenv("HF_TOKEN", "sentinel")
    monkeypatch.setenv("OPENAI_API_KEY", "it's a key")
    said = "the value of {} would stand readable in the job's script"
    for flags, settings, name in (
        ({"--wandb-exp-name": "my-sentinel-run"}, {}, "HF_TOKEN"),
        ({"--wandb-exp-name": "of it's a key, too"}, {}, "OPENAI_API_KEY"),
        ({}, {"ACCOUNT": "sentinel"}, "HF_TOKEN"),
        ({}, {"DATASET": "it's a key"}, "OPENAI_API_KEY"),
    ):
        resolved = configured(flags, OUTPUT_PATH=str(tmp_path), **settings)
        with pytest.raises(ConfigError, match=said.format(name)):
            rendered_training(resolved, "slurm")


def test_a_plan_makes_nothing(configured: Configured, tmp_path: Path) -> None:
    rendered_training(configured(OUTPUT_PATH=str(tmp_path / "runs")), "slurm")
    assert not (tmp_path / "runs").exists()


def test_a_run_needs_somewhere_to_be(configured: Configured) -> None:
    resolved = configured()
    with pytest.raises(ConfigError, match="OUTPUT_PATH is not set"):
        open_training(resolved, rendered_training(resolved, "local"))


def test_an_image_needs_enroot(configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    resolved = configured(CONTAINER_IMAGE="/i.sqsh", OUTPUT_PATH=str(tmp_path))
    with pytest.raises(EnvironmentProblem) as caught:
        open_training(resolved, rendered_training(resolved, "interactive"))
    assert str(caught.value) == (
        "enroot is not on PATH, and CONTAINER_IMAGE=/i.sqsh needs it; install enroot,"
        " or unset CONTAINER_IMAGE to run on this node itself"
    )


def test_a_checkout_needs_the_python_of_its_environment(
    configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    resolved = configured(MEGATRON_PATH="/m", OUTPUT_PATH=str(tmp_path))
    with pytest.raises(EnvironmentProblem, match="python is not on PATH, and MEGATRON_PATH runs by it"):
        open_training(resolved, rendered_training(resolved, "interactive"))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for folders but not for a byte more."""
    with small_disk(tmp_path, "4k") as disk:
        (disk / "filler").write_bytes(bytes(4096))
        yield disk


def test_a_full_disk_is_said_and_left_as_it_was(configured: Configured, full_disk: Path) -> None:
    resolved = configured(OUTPUT_PATH=str(full_disk))
    with pytest.raises(EnvironmentProblem) as caught:
        open_training(resolved, rendered_training(resolved, "local"))
    assert str(caught.value) == (
        f"OUTPUT_PATH={full_disk}: the disk is full; free space there, or set OUTPUT_PATH to another folder"
    )
    assert [path.name for path in full_disk.iterdir()] == ["filler"]
