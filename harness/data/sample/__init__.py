"""The text that ships with the project: what is trained and evaluated on where the user names no data."""

from pathlib import Path
from tempfile import TemporaryDirectory

from harness.data.indexed import idx_path
from harness.data.prepare import prepare
from harness.errors import EnvironmentProblem

*TRAINING_CHAPTERS, HELD_OUT = sorted((Path(__file__).parent / "alice").glob("*.txt"))
_SUFFIX = "_text_document"  # what `prepare` adds to a prefix


def prepare_sample(prefix: Path) -> bool:
    """Make the shipped text but HELD_OUT, byte by byte, into PREFIX.bin and .idx; False if they are there already.

    Processes that do this at the same time each prepare a folder of their own; the first to rename it wins, the
    others use that one.
    """
    folder = prefix.parent
    if idx_path(prefix).exists():
        return False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".sample-", dir=folder.parent, ignore_cleanup_errors=True) as temporary:
            ready = Path(temporary) / "ready"
            prepare(TRAINING_CHAPTERS, ready / prefix.name.removesuffix(_SUFFIX))
            ready.rename(folder)
    except OSError as error:
        if not idx_path(prefix).exists():
            reason = error.strerror or error
            raise EnvironmentProblem(f"{folder}: the sample text cannot be prepared there: {reason}") from error
    return True
