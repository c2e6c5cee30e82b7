"""A configuration whose files are read once, asked again with other settings."""

from pathlib import Path

import pytest

from harness.config.conf_files import ConfFiles
from harness.config.configuration import Configuration
from harness.config.request import Request
from harness.config.roots import Roots, shipped_root
from harness.config.sources import read_configuration, resolve_request

ENVIRON = {"HOME": "/home/me", "TP": "2", "NCCL_DEBUG": "INFO"}
SETTINGS = {"PP": "4", "VPP": "1", "DATASET": "mock", "COMMENT": "on top", "NCCL_ALGO": "ring"}


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return Roots(here=tmp_path, shipped=shipped_root())


def request(*arguments: str, executor: str = "slurm") -> Request:
    return Request(
        arguments=arguments,
        extra=("--lr", "1e-5"),
        environ=ENVIRON,
        default_cluster="template",
        executor=executor,
        gpus=2,
    )


def read(roots: Roots, *arguments: str) -> Configuration:
    return read_configuration(request(*arguments), ConfFiles(roots))


@pytest.mark.parametrize("model", ["DeepSeek-V3", "Mixtral-8x7B"])
@pytest.mark.parametrize("executor", ["slurm", "local"])
@pytest.mark.parametrize("proxy", ["PROXY=laptop", "PROXY=none"])
def test_settings_on_top_are_as_if_typed(roots: Roots, model: str, executor: str, proxy: str) -> None:
    typed = (f"MODEL={model}", proxy, "PRETRAIN=1", "PP=2", "GBS=64")
    configuration = read_configuration(request(*typed, executor=executor), ConfFiles(roots))
    assert configuration.resolved() == resolve_request(request(*typed, executor=executor), roots)
    both = dict(word.split("=", 1) for word in typed) | SETTINGS
    expected = resolve_request(request(*(f"{name}={value}" for name, value in both.items()), executor=executor), roots)
    assert configuration.resolved(SETTINGS) == expected
    assert configuration.resolved() != expected, "the settings on top are kept nowhere"


def test_a_setting_left_out_is_as_if_not_typed(roots: Roots) -> None:
    typed = ("MODEL=DeepSeek-V3", "DATASET=mock")
    configuration = read(roots, *typed, "NNODES=2", "PP=2").without("NNODES", "PP", "EP")
    assert configuration.resolved() == resolve_request(request(*typed), roots)
    assert configuration.resolved({"GPUS": "64"}).integer("NNODES") == 8


def test_a_data_set_on_top_takes_what_the_cluster_has_for_it(roots: Roots) -> None:
    folder = roots.here / "cluster_configs/benchmarking"
    folder.mkdir(parents=True)
    (folder / "mine.conf").write_text("[DATA_PATH]\nown = /data/own\n[TOKENIZER_MODEL]\nown:DeepSeek-V3 = /tok\n")
    configuration = read(roots, "MODEL=DeepSeek-V3", "CLUSTER=mine", "DATASET=mock", "PRETRAIN=1")
    own = configuration.resolved({"DATASET": "own"})
    assert own.megatron_args.text("--data-path") == "/data/own"
    assert own.megatron_args.text("--tokenizer-model") == "/tok"


@pytest.mark.parametrize("setting", ["MODEL=Mixtral-8x7B", "CLUSTER=laptop", "PROXY=laptop", "TRAINING_PARAMS_PATH=/x"])
def test_what_decided_on_files_stays(roots: Roots, setting: str) -> None:
    configuration = read(roots, "MODEL=DeepSeek-V3", "CLUSTER=template", "PROXY=none")
    name, _, value = setting.partition("=")
    with pytest.raises(ValueError, match=f"{name} decided which files were read"):
        configuration.resolved({name: value})
    assert configuration.resolved({"MODEL": "DeepSeek-V3", "PROXY": "none"}) == configuration.resolved()
    with pytest.raises(ValueError, match="MODEL decided"):
        configuration.without("MODEL")


def test_files_are_read_once(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them by `read_configuration`, and the common ones once for many models."""
    opened: list[str] = []
    read_text = Path.read_text

    def counted(path: Path, *args, **others) -> str:
        opened.append(path.name)
        return read_text(path, *args, **others)

    monkeypatch.setattr(Path, "read_text", counted)
    confs = ConfFiles(roots)
    models = [
        read_configuration(request(f"MODEL={name}", "PROXY=none", "DATASET=mock"), confs)
        for name in ("DeepSeek-V3", "Mixtral-8x7B")
    ]
    assert sorted(name for name in opened if not name.endswith(".json")) == [
        *("DeepSeek-V3.yaml", "Mixtral-8x7B.yaml", "common.conf", "runtime.conf", "template.conf")
    ]
    opened.clear()
    for model in models:
        model.resolved({"PRETRAIN": "1"})
    assert [name for name in opened if not name.endswith(".json")] == []
