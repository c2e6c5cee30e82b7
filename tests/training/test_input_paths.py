"""Paths looked at before a run starts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rendered_training import rendered_training

from harness.config.provenance import Origin, Resolved
from harness.errors import ConfigError
from harness.training.input_paths import path_problems
from harness.training.job import training_job
from harness.training.open_training import open_training

type Configured = Callable[..., Resolved]


def written_in_a_conf() -> dict[str, Origin]:
    names = ("MEGATRON_PATH", "DATA_PATH", "LOAD_PATH", "TOKENIZER_MODEL")
    return {name: Origin(layer="cluster conf", path="laptop.conf", line=line) for line, name in enumerate(names, 8)}


def test_all_missing_paths_at_once_with_their_lines(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "half.bin").touch()
    resolved = configured(
        {
            "--data-path": ("0.5", f"{tmp_path}/half", "0.5", f"{tmp_path}/none"),
            "--load": f"{tmp_path}/ckpt",
            "--tokenizer-model": f"{tmp_path}/tokenizer",
        },
        origins=written_in_a_conf(),
        MEGATRON_PATH=f"{tmp_path}/megatron",
        OUTPUT_PATH=str(tmp_path / "runs"),
    )
    with pytest.raises(ConfigError) as caught:
        open_training(resolved, rendered_training(resolved, "interactive"))
    fix = "does not exist; correct the path or create it"
    assert caught.value.problems == (
        f"laptop.conf:8: MEGATRON_PATH: {tmp_path}/megatron/pretrain_gpt.py {fix}",
        f"laptop.conf:9: DATA_PATH: {tmp_path}/half.idx {fix}",
        f"laptop.conf:9: DATA_PATH: {tmp_path}/none.bin {fix}",
        f"laptop.conf:9: DATA_PATH: {tmp_path}/none.idx {fix}",
        f"laptop.conf:10: LOAD_PATH: {tmp_path}/ckpt/latest_checkpointed_iteration.txt {fix}",
        f"laptop.conf:11: TOKENIZER_MODEL: {tmp_path}/tokenizer {fix}",
    )
    assert not (tmp_path / "runs").exists()


def test_a_folder_near_to_a_checkpoint_is_told_with_its_line(configured: Configured, tmp_path: Path) -> None:
    step, published = tmp_path / "ckpt/iter_0000007", tmp_path / "published"
    step.mkdir(parents=True)
    published.mkdir()
    for path in (step / ".metadata", tmp_path / "ckpt/latest_checkpointed_iteration.txt", published / "config.json"):
        path.touch()
    convert = f"convert it first: moe-harness convert {published} TARGET"
    said = {
        step: f"{step} is the folder of one step; give the one above it, {step.parent}",
        published: f"{published} is a Hugging Face checkpoint; {convert}",
    }
    for folder, instead in said.items():
        resolved = configured({"--load": str(folder)}, origins=written_in_a_conf())
        assert path_problems(resolved, training_job(resolved, "local")) == [f"laptop.conf:10: LOAD_PATH: {instead}"]


def test_what_is_there_is_no_problem(configured: Configured, tmp_path: Path) -> None:
    for name in ("d.bin", "d.idx", "latest_checkpointed_iteration.txt"):
        (tmp_path / name).touch()
    flags = {"--data-path": f"{tmp_path}/d", "--load": str(tmp_path), "--tokenizer-model": str(tmp_path)}
    resolved = configured(flags)
    assert path_problems(resolved, training_job(resolved, "local")) == []


def test_names_on_the_hub_and_the_run_s_own_folder_are_not_looked_for(configured: Configured) -> None:
    resolved = configured({"--tokenizer-model": "deepseek-ai/DeepSeek-V3", "--load": "${RUN_DIR}/checkpoints"})
    assert path_problems(resolved, training_job(resolved, "local")) == []


@pytest.mark.parametrize("path", ["/none/it", "./none/it", "../none/it"])
def test_what_says_that_it_is_a_path_is_looked_for(configured: Configured, path: str) -> None:
    resolved = configured({"--tokenizer-model": path}, CONTAINER_IMAGE=path, CONTAINER_MOUNTS="/none:/m")
    fix = "does not exist; correct the path or create it"
    assert path_problems(resolved, training_job(resolved, "local")) == [f"TOKENIZER_MODEL: {Path(path)} {fix}"]
    assert path_problems(resolved, training_job(resolved, "slurm"))[:2] == [
        f"CONTAINER_IMAGE: {Path(path)} {fix}",
        f"CONTAINER_MOUNTS: /none {fix}",
    ]


def test_what_may_not_be_read(configured: Configured, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    locked = tmp_path / "tokenizer.json"
    locked.touch()
    locked.chmod(0)
    resolved = configured({"--tokenizer-model": str(locked)})
    job = training_job(resolved, "local")
    request.getfixturevalue("as_nobody")
    assert path_problems(resolved, job) == [
        f"TOKENIZER_MODEL: cannot read {locked} (Permission denied); get access or correct the path"
    ]


def test_a_container_s_paths_are_looked_at_where_the_host_has_them(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "d.bin").touch()
    resolved = configured(
        {"--data-path": "/data/d", "--tokenizer-model": str(tmp_path / "d.bin"), "--load": "/in/the/image"},
        CONTAINER_IMAGE="some#image",
        CONTAINER_MOUNTS=f"{tmp_path}:/data:ro,/no/such:/x",
        MEGATRON_PATH="/opt/megatron",
    )
    assert path_problems(resolved, training_job(resolved, "slurm")) == [
        "CONTAINER_MOUNTS: /no/such does not exist; correct the path or create it",
        f"DATA_PATH: {tmp_path}/d.idx does not exist; correct the path or create it",
        f"TOKENIZER_MODEL: {tmp_path}/d.bin is on this machine, but no mount carries it into the container;"
        " add its folder to CONTAINER_MOUNTS",
    ]


def test_for_slurm_they_are_only_noticed(configured: Configured, tmp_path: Path, program: Callable[..., Path]) -> None:
    program("sbatch", "#!/bin/sh\n")
    resolved = configured({"--tokenizer-model": "/no/such"}, OUTPUT_PATH=str(tmp_path))
    assert open_training(resolved, rendered_training(resolved, "slurm")).notices == (
        "TOKENIZER_MODEL: /no/such does not exist; correct the path or create it (unless the compute nodes see it)",
        "CONTAINER_IMAGE is not set: the job runs on the bare nodes",
    )
