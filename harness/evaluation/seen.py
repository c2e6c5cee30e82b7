"""An evaluation as the machine sees it that measures: a login node may not see what lies on the compute nodes."""

from dataclasses import replace
from pathlib import Path

from harness.checkpoint.folder import find_checkpoint
from harness.errors import ConfigError
from harness.evaluation.checkpoints import fingerprint
from harness.evaluation.data_files import stored_files
from harness.evaluation.fingerprints import fingerprint_of_files, tokenizer_sha256
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec, ValidationData


def as_seen_here(spec: EvaluationSpec) -> EvaluationSpec:
    """The spec with fingerprints of what was unseen where it was made: a result of other weights or data is none of it.

    What is not seen here either stays as it is.
    """
    return replace(spec, checkpoints=tuple(map(_checkpoint, spec.checkpoints)), data=_data(spec.data))


def _checkpoint(checkpoint: EvaluatedCheckpoint) -> EvaluatedCheckpoint:
    if checkpoint.fingerprint:
        return checkpoint
    try:
        return replace(checkpoint, fingerprint=fingerprint(find_checkpoint(Path(checkpoint.folder))))
    except (ConfigError, OSError):  # the reason is told where its weights are to be read
        return checkpoint


def _data(data: ValidationData) -> ValidationData:
    return replace(
        data,
        fingerprint=data.fingerprint or fingerprint_of_files(stored_files(data.files)),
        tokenizer_sha256=data.tokenizer_sha256 or tokenizer_sha256(data.tokenizer),
    )
