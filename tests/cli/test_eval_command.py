"""What `eval` says of a checkpoint and of its words before anything runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_command import Answer, moe_harness
from evaluation_results import SPEC
from tiny_models import make_tiny

from harness.cli.eval_run import _askable
from harness.errors import ConfigError
from harness.evaluation import task_names

VOCABULARY = 300
BYTES = f"no tokenizer lies beside the weights, so text is read byte by byte, as 257 of the model's {VOCABULARY} tokens"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny converted checkpoint, under a name that looks like a setting in part."""
    folder = tmp_path_factory.mktemp("eval")
    make_tiny("Mixtral", folder / "hf", changes={"vocab_size": VOCABULARY})
    (folder / "CKPT").mkdir()
    converted = moe_harness("convert", "hf", "CKPT/LR=1", here=folder)
    assert converted.code == 0, converted.err
    return folder


def dry_run(here: Path, *words: str) -> Answer:
    """The script of an evaluation of loss."""
    found = moe_harness("eval", *words, "--what", "loss", "--seq-len", "64", "--dry-run", here=here)
    assert found.code == 0, found.err
    return found


def test_bytes_are_told_where_the_vocabulary_is_another(here: Path) -> None:
    """A loss over other tokens than the model was trained on means nothing."""
    assert BYTES in dry_run(here, "./CKPT/LR=1").err
    assert "byte by byte" not in dry_run(here, "CKPT/LR=1", "--val-data", str(tokens(here))).err


def test_a_path_with_a_sign_is_a_checkpoint(here: Path) -> None:
    assert str(here / "CKPT/LR=1") in dry_run(here, "CKPT/LR=1").out


def test_a_checkpoint_that_is_named_by_its_option_is_one_more(here: Path) -> None:
    """The same one twice is one; another that is absent is told, not passed over."""
    assert dry_run(here, "CKPT/LR=1", "--checkpoint-dir", "CKPT/LR=1").out == dry_run(here, "CKPT/LR=1").out
    absent = moe_harness("eval", "CKPT/LR=1", "--checkpoint-dir", "./absent", "--dry-run", here=here)
    assert absent.code == 2
    assert "./absent: no such folder" in absent.err


def test_without_lm_eval_the_rest_is_evaluated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cluster's own Python may have it, so that its job is asked all the same."""
    assert _askable(SPEC, "local") == SPEC
    monkeypatch.setattr(task_names, "find_spec", lambda _name: None)
    assert _askable(SPEC, "local") == SPEC.without_tasks()
    assert "lm-eval is not installed; pip install 'moe-harness[eval]'" in capsys.readouterr().err
    assert _askable(SPEC, "slurm") == SPEC
    assert "unless the job's own Python has it" in capsys.readouterr().err


def test_tasks_alone_without_lm_eval_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_names, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="lm-eval is not installed"):
        _askable(replace(SPEC, parts=("tasks",)), "local")


def tokens(here: Path) -> Path:
    """A file of token ids."""
    np.save(here / "tokens.npy", np.arange(200, dtype=np.uint16))
    return here / "tokens.npy"
