"""The flag that carries each setting, against what is resolved for the shipped models."""

import re
from pathlib import Path

import pytest

from harness.config.roots import Roots
from harness.config.schema import SETTINGS
from harness.config.setting_flags import FLAG_OF_SETTING, SETTING_OF_FLAG

MODELS = Roots.standard().names("model")
# What makes a setting count, and two values of it.
BASE = ("NUM_LAYERS=24", "VOCAB_SIZE=1024")
PIPELINE = ("PP=4", "VPP=1", "PP_FIRST=", "PP_LAST=", "LAYERS_PER_VP=")
CHANGES: dict[str, tuple[tuple[str, ...], str, str]] = {
    **dict.fromkeys(("TP", "CP", "EP", "ETP", "MBS", "GBS", "SEQ_LEN", "TRAIN_ITERS"), ((), "16", "32")),
    "PP": (PIPELINE[1:], "2", "4"),
    "VPP": (("PP=4", *PIPELINE[2:]), "2", "3"),
    "PP_FIRST": (("PP=4", "VPP=1", "PP_LAST=4", "LAYERS_PER_VP="), "8", "10"),
    "PP_LAST": (("PP=4", "VPP=1", "PP_FIRST=4", "LAYERS_PER_VP="), "8", "10"),
    "PP_LAYOUT": (("PP=2",), "Et*12|t*12L", "Et*13|t*11L"),
    "NUM_LAYERS": (PIPELINE, "24", "48"),
    "VOCAB_SIZE": (("DATASET=mock",), "512", "1024"),
    "MOE_TOKEN_DISPATCHER": ((), "allgather", "alltoall"),
    "DATA_PATH": (("DATASET=own", "TOKENIZER_MODEL=/tok"), "/a", "/b"),
    "TOKENIZER_MODEL": (("DATASET=own", "DATA_PATH=/a"), "/a", "/b"),
    "LOAD_PATH": (("PRETRAIN=0",), "/a", "/b"),
    "SAVE_INTERVAL": ((), "5", "7"),
}


@pytest.mark.parametrize("model", MODELS)
def test_the_flag_follows_its_setting(resolve, model: str) -> None:
    assert set(CHANGES) == set(FLAG_OF_SETTING)
    for name, (others, *values) in CHANGES.items():
        words = {word.partition("=")[0]: word for word in (*BASE, *others)}
        for value in values:
            resolved = resolve(f"MODEL={model}", *{**words, name: f"{name}={value}"}.values(), cluster="template")
            assert resolved.megatron_args.text(FLAG_OF_SETTING[name]) == value, name


def test_no_flag_carries_two_settings() -> None:
    assert len(SETTING_OF_FLAG) == len(FLAG_OF_SETTING)
    assert FLAG_OF_SETTING.keys() <= SETTINGS.keys()


def test_the_files_say_the_same(repository: Path) -> None:
    """`--flag: ${NAME}` in a model's YAML, `--flag = ${NAME}` in a conf."""
    files = [*repository.glob("model_configs/**/*.yaml"), *repository.glob("*_configs/benchmarking/*.conf")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    carried = re.findall(r"^\s*(--[\w-]+)\s*[:=]\s*\$\{(\w+)\}\s*$", text, re.MULTILINE)
    assert {"TP", "GBS", "NUM_LAYERS", "TRAIN_ITERS"} <= {name for _, name in carried}
    assert {(flag, name) for flag, name in carried if FLAG_OF_SETTING.get(name) != flag} == set()
