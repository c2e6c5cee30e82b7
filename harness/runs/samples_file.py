"""The samples of a run's steps, in a file of their own beside the record: who lists runs reads none of them."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from harness.config.secrets import scrub, secret_values
from harness.disk import write_whole
from harness.errors import EnvironmentProblem, HarnessError
from harness.launch.rundir import RunPaths
from harness.runs.json_codec import encode
from harness.runs.record import RunRecord


class UnreadableSamples(HarnessError):
    """A file of samples that may not be read or is damaged; the run's record is none the worse for it."""


def sample_values(samples: Sequence[Any], record: RunRecord, environ: Mapping[str, str] = os.environ) -> list[Any]:
    """Samples as JSON values, without the secrets that `environ` and the run's own environment hold."""
    values: list[Any] = scrub(encode(samples), secret_values(environ, record.resolved.env))
    return values


def save_samples(samples: Sequence[Any] | None, record: RunRecord, paths: RunPaths) -> None:
    """Write the samples, an object a line, so that a reader finds all of them or those before. EnvironmentProblem.

    None keeps those that there are, also of a record of an older version, which is about to be written anew.
    """
    kept = paths.samples.exists()
    if samples is None:
        samples = () if kept else _samples_in_record(paths)
        kept = False
    if not samples and not kept:
        return
    lines = (json.dumps(value, ensure_ascii=False, allow_nan=False) for value in sample_values(samples, record))
    try:
        write_whole(paths.samples, "".join(f"{line}\n" for line in lines))
    except OSError as error:
        fix = "make OUTPUT_PATH a writable folder with free space"
        raise EnvironmentProblem(f"{paths.samples}: cannot write the run's samples: {error.strerror}; {fix}") from error


def load_samples(paths: RunPaths) -> list[Any]:
    """The samples as JSON values, the first step first; none where there is no file of them. UnreadableSamples.

    Up to version 2 of the records they stand in the record itself.
    """
    try:
        return [json.loads(line) for line in paths.samples.read_text(encoding="utf-8").split("\n") if line]
    except (FileNotFoundError, NotADirectoryError):
        return _samples_in_record(paths)
    except OSError as error:
        raise UnreadableSamples(f"{paths.samples}: cannot read these samples: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableSamples(f"{paths.samples}: these samples are damaged: not JSON lines ({error})") from error


def _samples_in_record(paths: RunPaths) -> list[Any]:
    try:
        document = json.loads(paths.record.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []  # the record was removed or damaged, and what is shown is its copy
    samples = document.get("samples", []) if isinstance(document, dict) else []
    return samples if isinstance(samples, list) else []
