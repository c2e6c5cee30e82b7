"""What an archive of runs holds, and under which names.

A folder a run, with its record, samples and evaluation results, and last of all a manifest with the checksum of each
file: an archive without one was cut off. Paths into the runs' own folders stand as `${MOE_HARNESS_RUNS}/RUN/…`, so that
they are true wherever the runs are unpacked.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import EnvironmentProblem

FORMAT = "moe-harness runs"
FORMAT_VERSION = 1
SUFFIX = ".tar.zst"
MANIFEST = "manifest.json"
RUNS_MARK = "${MOE_HARNESS_RUNS}"

RECORD, SAMPLES, LOG, RESULTS, CHECKPOINTS = "record.json", "samples.jsonl", "log", "eval", "checkpoints"


def zstandard() -> Any:
    """The library that compresses; EnvironmentProblem without it."""
    try:
        import zstandard as library
    except ImportError:
        raise EnvironmentProblem("archives need zstandard: pip install 'moe-harness[report]'") from None
    return library


def changed_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with each of its texts changed; the names of objects stay."""
    if isinstance(value, dict):
        return {name: changed_texts(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [changed_texts(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def replacing(prefixes: Mapping[str, str]) -> Callable[[str], str]:
    """What replaces paths, and whatever lies under them, in any text; the longest path first."""
    if not prefixes:
        return lambda text: text
    longest_first = sorted(prefixes, key=len, reverse=True)
    found = re.compile(rf"(?:{'|'.join(map(re.escape, longest_first))})(?![\w.-])")
    return lambda text: found.sub(lambda match: prefixes[match[0]], text)
