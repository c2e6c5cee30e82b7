"""What `eval` says of a checkpoint and of its words before anything runs."""

from pathlib import Path

import pytest
from cli_command import Answer, moe_harness
from tiny_models import make_tiny


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny converted checkpoint, under a name that looks like a setting in part."""
    folder = tmp_path_factory.mktemp("eval")
    make_tiny("Mixtral", folder / "hf")
    (folder / "CKPT").mkdir()
    converted = moe_harness("convert", "hf", "CKPT/LR=1", here=folder)
    assert converted.code == 0, converted.err
    return folder


def dry_run(here: Path, *words: str) -> Answer:
    """The script of an evaluation of loss."""
    found = moe_harness("eval", *words, "--what", "loss", "--seq-len", "64", "--dry-run", here=here)
    assert found.code == 0, found.err
    return found


def test_a_path_with_a_sign_is_a_checkpoint(here: Path) -> None:
    assert str(here / "CKPT/LR=1") in dry_run(here, "CKPT/LR=1").out


def test_a_checkpoint_that_is_named_by_its_option_is_one_more(here: Path) -> None:
    """The same one twice is one; another that is absent is told, not passed over."""
    assert dry_run(here, "CKPT/LR=1", "--checkpoint-dir", "CKPT/LR=1").out == dry_run(here, "CKPT/LR=1").out
    absent = moe_harness("eval", "CKPT/LR=1", "--checkpoint-dir", "./absent", "--dry-run", here=here)
    assert absent.code == 2
    assert "./absent: no such folder" in absent.err
