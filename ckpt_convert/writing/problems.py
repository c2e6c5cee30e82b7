"""The error message for a file or folder that cannot be written."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import EnvironmentProblem

_WHAT_HELPS = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room within your quota",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EROFS: "choose a place that is not read-only",
    errno.EACCES: "choose a place that you may write to",
    errno.EPERM: "choose a place that you may write to",
    errno.EIO: "check the disk",
}


@contextmanager
def writing(path: Path, *, resumable: bool = False) -> Iterator[None]:
    """Turn an OSError in this block into an EnvironmentProblem that names `path` and says what helps."""
    try:
        yield
    except OSError as error:
        helps = _WHAT_HELPS.get(error.errno or 0, "check the place")
        then = ", then go on with --resume: what is whole is kept" if resumable else ""
        raise EnvironmentProblem(f"{path}: cannot be written: {error.strerror or error}; {helps}{then}") from error
