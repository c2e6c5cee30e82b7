"""Search a log, however large, for the lines that signatures match."""

import os
import subprocess
from pathlib import Path

from harness.launch.log.log_file import open_part
from harness.runs.triage.signatures import pattern_of, signatures

SEARCHED_BYTES = 256 * 1024**2
"""The part of a log's end that is searched, which takes about a second."""

_MOST_LINES = 10_000


def matching_lines(log: Path, *, start_bytes: int = 0) -> tuple[str, ...]:
    """Find the lines that any signature matches in a log from `start_bytes` on; none if it cannot be read.

    grep reads hundreds of megabytes a second where Python's re reads one or two.
    """
    command = ["grep", "-a", "-E", f"--max-count={_MOST_LINES}", "-e", pattern_of(signatures())]
    try:
        with open_part(log, start_bytes=start_bytes, most_bytes=SEARCHED_BYTES) as file:
            found = subprocess.run(command, stdin=file, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    except OSError:
        return ()
    return tuple(found.stdout.decode(errors="replace").splitlines())
