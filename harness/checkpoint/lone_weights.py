"""Make Megatron load just the weights in one folder, whatever a tracker beside it names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.checkpoint.files import RELEASE, TRACKER


@contextmanager
def tracked_alone(weights: Path) -> Iterator[Path]:
    """Yield a folder for `--load` whose tracker names the folder `weights`; it is gone afterwards."""
    with TemporaryDirectory(prefix="moe-harness-") as folder:
        (Path(folder) / TRACKER).write_text(RELEASE)
        (Path(folder) / RELEASE).symlink_to(weights.absolute(), target_is_directory=True)
        yield Path(folder)
