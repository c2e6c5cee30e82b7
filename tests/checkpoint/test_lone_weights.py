"""A folder for Megatron's `--load` that means just the weights asked for."""

from pathlib import Path

from harness.checkpoint.folder import find_checkpoint
from harness.checkpoint.lone_weights import tracked_alone


def test_the_tracker_beside_the_weights_does_not_matter(tmp_path: Path) -> None:
    """It names a later iteration; and nothing of the folder is left afterwards."""
    for step in (5, 9):
        folder = tmp_path / f"iter_000000{step}"
        folder.mkdir()
        (folder / ".metadata").touch()
        (folder / "metadata.json").touch()
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("9")
    with tracked_alone(tmp_path / "iter_0000005") as load:
        assert find_checkpoint(load).folder.resolve() == (tmp_path / "iter_0000005").resolve()
    assert not load.exists()
    assert (tmp_path / "iter_0000005/.metadata").exists()
