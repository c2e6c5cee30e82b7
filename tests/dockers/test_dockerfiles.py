"""The Dockerfiles: linted, pinned, and in agreement with each other, with the settings and with the template."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from check_image import read_pins, read_requirements

from harness.config.conf_file import read_conf
from harness.config.releases.catalogue import Release, known
from harness.config.schema import SETTINGS
from harness.plan.constraints.gpu import WANTED_BY_BACKEND

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERS = REPOSITORY / "dockers"
PROGRAMS = Path(sys.executable).parent
FILES = [pytest.param(path, id=path.parent.name) for path in sorted(DOCKERS.glob("*/Dockerfile"))]
PINS = read_pins((DOCKERS / "versions.env").read_text())
REQUIREMENTS = (DOCKERS / "requirements.txt").read_text()
ARCHITECTURES = {"ampere": ("8.0", "80"), "hopper": ("9.0", "90"), "blackwell": ("10.0", "100a;103a")}
"""By generation: NVIDIA's compute capability, and Transformer Engine's targets (its `build_tools/utils.py`): on
Blackwell those with MXFP8's own instructions, for B200 and B300."""


def instructions(path: Path, name: str) -> list[str]:
    """The arguments of every instruction of that name, continued lines joined."""
    text = path.read_text().replace("\\\n", " ")
    return re.findall(rf"^{name} (.*)$", text, re.MULTILINE)


def environment(path: Path) -> dict[str, str]:
    """What the ENV instructions set."""
    return {
        name: value.strip('"') for line in instructions(path, "ENV") for name, value in re.findall(r"(\w+)=(\S+)", line)
    }


def template() -> dict[str, str]:
    """The cluster template's settings as written."""
    conf = read_conf(REPOSITORY / "cluster_configs/benchmarking/template.conf", shown="template.conf", layer="cluster")
    return {name: str(entry.value) for name, entry in conf.sections["cluster"].items()}


def test_every_generation_has_its_file() -> None:
    assert {path.parent.name for path in DOCKERS.glob("*/Dockerfile")} == set(ARCHITECTURES)


@pytest.mark.parametrize("path", FILES)
def test_hadolint_finds_nothing(path: Path) -> None:
    done = subprocess.run([PROGRAMS / "hadolint", path], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_see_a_moving_tag(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM nvcr.io/nvidia/pytorch:latest\nRUN pip install wandb\n")
    done = subprocess.run([PROGRAMS / "hadolint", tmp_path / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 1
    assert {"DL3007", "DL3013"} <= set(re.findall(r"DL\d+", done.stdout))


def test_shellcheck_finds_nothing_in_the_install_scripts() -> None:
    scripts = sorted(DOCKERS.glob("install/*.sh"))
    done = subprocess.run([PROGRAMS / "shellcheck", "-x", *scripts], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", FILES)
def test_base_image_is_the_pinned_one(path: Path) -> None:
    assert instructions(path, "FROM") == [PINS["BASE_IMAGE"]]
    assert re.fullmatch(r"\S+:\d\d\.\d\d-py3", PINS["BASE_IMAGE"])


@pytest.mark.parametrize("path", FILES)
def test_architectures_are_those_of_the_generation(path: Path) -> None:
    env = environment(path)
    assert (env["TORCH_CUDA_ARCH_LIST"], env["NVTE_CUDA_ARCHS"]) == ARCHITECTURES[path.parent.name]


@pytest.mark.parametrize("path", FILES)
def test_deep_ep_is_where_the_rules_allow_it_on_several_nodes(path: Path) -> None:
    wanted = path.parent.name in WANTED_BY_BACKEND.lower()
    assert ("bash deep_ep.sh" in instructions(path, "RUN")) == wanted


@pytest.mark.parametrize("path", FILES)
def test_image_is_checked_last_and_runs_the_jobs_own_command(path: Path) -> None:
    assert instructions(path, "RUN")[-1] == "python check_image.py"
    assert instructions(path, "ENTRYPOINT") == ["[]"]
    assert instructions(path, "USER") == []


def test_what_is_copied_exists_and_nothing_else_does() -> None:
    copied = {
        word
        for path in DOCKERS.glob("*/Dockerfile")
        for line in instructions(path, "COPY")
        for word in line.split()[:-1]
    }
    there = {
        str(path.relative_to(DOCKERS))
        for path in DOCKERS.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert copied == {name for name in there if not name.endswith("/Dockerfile")}


def test_every_pin_is_exact() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{40}", PINS[name]) for name in PINS if name.endswith("_COMMIT"))
    assert all(re.fullmatch(r"\d+(\.\d+)+", PINS[name]) for name in PINS if name.endswith("_VERSION"))
    lines = [line for line in REQUIREMENTS.splitlines() if not line.startswith("#")]
    assert len(read_requirements(REQUIREMENTS)) == len(lines)


def test_every_pin_is_used_by_a_script_and_no_other() -> None:
    scripts = "".join(path.read_text() for path in DOCKERS.glob("install/*.sh"))
    used = set(re.findall(r"\$\{?([A-Z_]+_(?:COMMIT|VERSION)|MEGATRON_PATH)", scripts))
    told = {"BASE_IMAGE", "TE_TAG", "MEGATRON_TAG", "DEEPEP_BRANCH"}
    assert used == PINS.keys() - told


def test_packages_have_the_versions_of_the_launching_side() -> None:
    ours = read_requirements((REPOSITORY / "constraints.txt").read_text())
    pinned = read_requirements(REQUIREMENTS)
    both = pinned.keys() & ours.keys()
    assert {"transformers", "tokenizers", "wandb", "tensorboard", "psutil"} <= both
    assert {name: pinned[name] for name in both} == {name: ours[name] for name in both}


def test_transformer_engine_is_the_one_that_settings_assume() -> None:
    assert PINS["TE_TAG"] == f"v{SETTINGS['TE_VERSION'].default}"


def test_megatron_is_where_and_what_the_template_says() -> None:
    settings = template()
    release = re.fullmatch(r"core_v(\d+\.\d+)\.\d+", PINS["MEGATRON_TAG"])
    assert release
    assert release[1] == settings["MCORE_RELEASE_VERSION"] == SETTINGS["MCORE_RELEASE_VERSION"].default
    assert Release.parse(release[1]) in known()
    assert settings["MEGATRON_PATH"] == PINS["MEGATRON_PATH"]


def test_the_page_states_every_pin() -> None:
    page = (REPOSITORY / "docs/container.md").read_text()
    stated = {name: value[:8] if name.endswith("_COMMIT") else value for name, value in PINS.items()}
    assert {name: value for name, value in stated.items() if value not in page} == {}
