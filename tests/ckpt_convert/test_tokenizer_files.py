"""The tokenizer goes where the weights go, there and back, and integrity.json vouches for it."""

import hashlib
import json
from pathlib import Path

import pytest
from tiny_models import make_tiny

from ckpt_convert.conversion import convert, open_folder, plan_conversion
from ckpt_convert.writing.progress import Silent
from harness.checkpoint.folder import find_checkpoint
from harness.errors import ConfigError

FILES = {"tokenizer.json": '{"model": {}}', "tokenizer_config.json": "{}", "chat_template.jinja": "{{ messages }}"}


def converted(source: Path, target: Path) -> Path:
    """The other side's format."""
    plan = plan_conversion(open_folder(source), to=None, dtype=None, exact=None)
    convert(plan, target, resume=False, threads=1, progress=Silent())
    return target


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tiny model as the Hub has it, with a tokenizer and a file that is none."""
    folder = make_tiny("Mixtral", tmp_path / "hf")
    for name, content in {**FILES, "README.md": "no tokenizer"}.items():
        (folder / name).write_text(content)
    return folder


def test_there_and_back(source: Path, tmp_path: Path) -> None:
    there = converted(source, tmp_path / "megatron")
    weights = find_checkpoint(there).folder
    back = converted(there, tmp_path / "back")
    for folder in (weights, back):
        hashes = json.loads((folder / "integrity.json").read_text())["files"]
        for name, content in FILES.items():
            assert (folder / name).read_text() == content
            assert hashes[name] == hashlib.sha256(content.encode()).hexdigest()
        assert not (folder / "README.md").exists()


def test_an_unreadable_one_is_told(source: Path, tmp_path: Path) -> None:
    (source / "merges.txt").mkdir()
    with pytest.raises(ConfigError, match=r"merges.txt: cannot be read: Is a directory; mend that, or move it away"):
        converted(source, tmp_path / "megatron")
    assert not (tmp_path / "megatron").exists()
