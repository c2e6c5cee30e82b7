"""Which checkpoint a path means, and what is said where there is none."""

from pathlib import Path

import pytest
import torch
from torch_side import TorchDist

from harness.checkpoint.folder import find_checkpoint
from harness.checkpoint.torch_save.dcp_metadata import read_metadata
from harness.errors import ConfigError

TRACKER = "latest_checkpointed_iteration.txt"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder with a release, two iterations and no tracker."""
    for name, rows in (("release", 1), ("iter_0000003", 3), ("iter_0000012", 12)):
        writer = TorchDist(tmp_path / name)
        writer.tensor("output_layer.weight", torch.ones(rows, 2))
        writer.close()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "name", "step"), [("release", "release", None), ("3\n", "iter_0000003", 3), ("12", "iter_0000012", 12)]
)
def test_the_tracker_decides(checkpoint: Path, text: str, name: str, step: int | None) -> None:
    """By name or by number."""
    (checkpoint / TRACKER).write_text(text)
    found = find_checkpoint(checkpoint)
    assert (found.folder, found.format, found.step) == (checkpoint / name, "torch_dist", step)


def test_the_folder_of_an_iteration_itself(checkpoint: Path) -> None:
    """Opened without a tracker, whatever a tracker says; through a link as well."""
    (checkpoint / TRACKER).write_text("release")
    (checkpoint / "link").symlink_to(checkpoint / "iter_0000012")
    for name in ("iter_0000012", "link"):
        assert find_checkpoint(checkpoint / name).step == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            None,
            rf"no Megatron checkpoint: neither {TRACKER} nor weights .*one of its folders: iter_0000003, iter_0000012",
        ),
        ("", rf"{TRACKER}: empty; expected release or the number of an iteration; or name one of its folders: iter_"),
        ("last", rf"{TRACKER}: 'last'; expected release"),
        ("-4", rf"{TRACKER}: '-4'; expected release"),
        ("../../x", rf"{TRACKER}: '\.\./\.\./x'; expected release"),
        ("44", r"iter_0000044: absent, though latest_checkpointed_iteration\.txt beside it names it"),
    ],
)
def test_trackers_that_lead_nowhere(checkpoint: Path, text: str | None, message: str) -> None:
    """Never a guess: the message names what is there."""
    if text is not None:
        (checkpoint / TRACKER).write_text(text)
    with pytest.raises(ConfigError, match=message):
        find_checkpoint(checkpoint)


@pytest.mark.parametrize("name", [".metadata", "metadata.json"])
def test_a_folder_without_its_metadata(checkpoint: Path, name: str) -> None:
    """Megatron takes it for another format, or loads nothing; here it is refused."""
    (checkpoint / "iter_0000003" / name).unlink()
    with pytest.raises(ConfigError, match=rf"iter_0000003: {name} missing: not a whole torch_dist checkpoint"):
        find_checkpoint(checkpoint / "iter_0000003")


def test_no_folder(tmp_path: Path) -> None:
    """Named."""
    with pytest.raises(ConfigError, match="absent: no such folder"):
        find_checkpoint(tmp_path / "absent")


def test_something_else_as_metadata(checkpoint: Path) -> None:
    """A pickle of another kind is refused by what it is not."""
    torch_pickle = b"\x80\x02}q\x00."
    (checkpoint / "iter_0000003" / ".metadata").write_bytes(torch_pickle)
    with pytest.raises(ConfigError, match=r"\.metadata: not the metadata of torch\.distributed\.checkpoint"):
        read_metadata(checkpoint / "iter_0000003")
