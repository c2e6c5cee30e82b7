"""What runs in the image: fetching a commit for real, and the check of the image, for real against this environment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import check_image
import pytest
import torch

DOCKERS = Path(__file__).resolve().parents[2] / "dockers"
PINS = check_image.read_pins((DOCKERS / "versions.env").read_text())
TE = {"transformer_engine": "2.8.0+40c69e75"}
DEEP_EP = {"deep_ep": "1.2.1+34152ae", "nvidia-nvshmem-cu13": "3.4.5"}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """/opt/image as this environment's would be: its torch and numpy are the base's."""
    for name in ("check_image.py", "versions.env"):
        shutil.copy(DOCKERS / name, tmp_path)
    listed = [sys.executable, "-m", "pip", "--disable-pip-version-check", "list", "--format=freeze"]
    freeze = subprocess.check_output(listed, text=True).splitlines(keepends=True)
    (tmp_path / "base.txt").write_text("".join(line for line in freeze if line.startswith(("torch==", "numpy=="))))
    (tmp_path / "requirements.txt").write_text("".join(line for line in freeze if line.startswith(("psutil", "wandb"))))
    return tmp_path


def run(image: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The script as a build runs it, with Hopper's capability."""
    environ = {**os.environ, "TORCH_CUDA_ARCH_LIST": "9.0", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, str(image / "check_image.py"), *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True)


def test_all_that_this_environment_lacks_is_said_at_once(image: Path) -> None:
    done = run(image)
    assert done.returncode == 1
    assert done.stdout == ""
    said = done.stderr.splitlines()
    assert "wrong: transformer_engine is missing, not 2.8 of 40c69e75" in said
    assert "wrong: deep_ep is None, not of 34152ae2" in said
    assert "wrong: /opt/megatron-lm is at missing, not 5be9626709af2722333bf54797c954c09edeada3" in said
    assert "wrong: nsys is not on PATH" in said
    assert not any(name in done.stderr for name in ("torch", "numpy", "psutil", "wandb", "Traceback"))


def test_a_changed_package_is_said(image: Path) -> None:
    (image / "base.txt").write_text("torch==2.9.0a0+50eac811a6.nv25.09\n")
    said = list(check_image.packages(image, check_image.installed_version))
    assert said[0] == "base.txt does not say which numpy the base image has"
    assert [line.partition(" is ")[0] for line in said[1:]] == ["torch"]
    assert said[1].endswith("not 2.9.0a0+50eac811a6.nv25.09")


@pytest.mark.parametrize(
    ("installed", "wrong"),
    [
        (TE, ""),
        ({}, "transformer_engine is missing"),
        ({"transformer_engine": "2.8.0"}, "transformer_engine is 2.8.0,"),
        ({"transformer_engine": "2.8.0+fedd9dd"}, "transformer_engine is 2.8.0+fedd9dd"),
        ({"transformer_engine": "2.80.0+40c69e75"}, "transformer_engine is 2.80.0"),
    ],
)
def test_transformer_engine_is_known_by_version_and_commit(installed: Mapping[str, str], wrong: str) -> None:
    said = " ".join(check_image.transformer_engine(PINS, installed.get))
    assert said.startswith(wrong) if wrong else said == ""


@pytest.mark.parametrize(
    ("capability", "installed", "wrong"),
    [
        ("9.0", DEEP_EP, []),
        ("10.0", DEEP_EP, []),
        ("8.0", {}, []),
        ("8.0", DEEP_EP, ["deep_ep 1.2.1+34152ae is there"]),
        ("10.0", {}, ["deep_ep is None", "nvidia-nvshmem-cu13 is None"]),
        ("9.0", {**DEEP_EP, "deep_ep": "1.2.1"}, ["deep_ep is 1.2.1,"]),
        ("9.0", {**DEEP_EP, "nvidia-nvshmem-cu13": "3.3.9"}, ["nvidia-nvshmem-cu13 is 3.3.9, not 3.4.5"]),
    ],
)
def test_deep_ep_is_there_from_hopper_on(capability: str, installed: Mapping[str, str], wrong: list[str]) -> None:
    said = list(check_image.deep_ep(PINS, [capability], installed.get))
    assert len(said) == len(wrong)
    assert all(line.startswith(start) for line, start in zip(said, wrong, strict=True))


def test_imports_that_fail_are_named_with_their_reason() -> None:
    said = list(check_image.import_errors("torch", "transformer_engine.pytorch"))
    assert said == ["import transformer_engine.pytorch: No module named 'transformer_engine'"]


def test_versions_are_those_of_this_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nsys").write_text("#!/bin/sh\necho NVIDIA Nsight Systems version 2025.5.1\n")
    (tmp_path / "nsys").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    said = list(check_image.found())
    assert said[0].startswith(f"torch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN ")
    assert "NVIDIA Nsight Systems version 2025.5.1" in said
    assert said[-1] == f"megatron-core {check_image.installed_version('megatron-core')}"


class TestFetch:
    """install/fetch.sh with real git; `github.com` is a folder here."""

    @pytest.fixture
    def hub(self, tmp_path: Path) -> Path:
        """Two repositories, the second a submodule of the first, and a commit after the one that is wanted."""
        hub = tmp_path / "hub"
        for name in ("NVIDIA/googletest.git", "NVIDIA/Megatron-LM.git"):
            (hub / name).mkdir(parents=True)
            git(hub, hub / name, "init", "--quiet")
            commit(hub, hub / name, "pretrain_gpt.py")
        return hub

    def test_exactly_the_commit_comes_with_its_submodules(self, hub: Path, tmp_path: Path) -> None:
        source = hub / "NVIDIA/Megatron-LM.git"
        git(
            hub,
            source,
            "submodule",
            "add",
            "--quiet",
            "https://github.com/NVIDIA/googletest.git",
            "3rdparty/googletest",
        )
        wanted = commit(hub, source, "wanted.py")
        commit(hub, source, "later.py")

        checkout = tmp_path / "megatron-lm"
        command = ["bash", DOCKERS / "install/fetch.sh", "NVIDIA/Megatron-LM", wanted, checkout]
        subprocess.run(command, env=environment(hub), check=True)

        assert (checkout / "wanted.py").is_file()
        assert (checkout / "3rdparty/googletest/pretrain_gpt.py").is_file()
        assert not (checkout / "later.py").exists()
        assert git(hub, checkout, "rev-list", "--count", "HEAD") == "1"
        pins = {"MEGATRON_PATH": str(checkout), "MEGATRON_COMMIT": wanted}
        assert list(check_image.megatron(pins)) == [f"{checkout} has no megatron/core/datasets/helpers_cpp*.so"]

    def test_an_unknown_commit_fails(self, hub: Path, tmp_path: Path) -> None:
        command = ["bash", DOCKERS / "install/fetch.sh", "NVIDIA/Megatron-LM", "0" * 40, tmp_path / "megatron-lm"]
        done = subprocess.run(command, env=environment(hub), capture_output=True, text=True)
        assert done.returncode != 0


def environment(hub: Path) -> dict[str, str]:
    """An environment in which https://github.com/ is a folder, and git knows who commits."""
    settings = {
        f"url.file://{hub}/.insteadOf": "https://github.com/",
        "protocol.file.allow": "always",
        "user.name": "test",
        "user.email": "test@example.invalid",
    }
    pairs = {}
    for number, (key, value) in enumerate(settings.items()):
        pairs |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**own, **pairs, "GIT_CONFIG_COUNT": str(len(settings)), "GIT_CONFIG_GLOBAL": os.devnull}


def git(hub: Path, folder: Path, *words: str) -> str:
    """What git prints in a folder."""
    return subprocess.check_output(["git", "-C", folder, *words], env=environment(hub), text=True).strip()


def commit(hub: Path, folder: Path, name: str) -> str:
    """Commit a new file; its hash."""
    (folder / name).write_text("")
    git(hub, folder, "add", name)
    git(hub, folder, "commit", "--quiet", "--message", name)
    return git(hub, folder, "rev-parse", "HEAD")
