"""What can be said against validation data before a job is queued."""

from collections.abc import Iterator
from pathlib import Path

from harness.data.documents import problems_of
from harness.errors import ConfigError
from harness.evaluation.data_files import open_indexed, open_tokenizer, too_short
from harness.evaluation.spec import ValidationData


def problems_of_data(data: ValidationData, vocab_size: int, seq_len: int) -> list[str]:
    """All that is wrong at first sight, a line each: no token is read and no text tokenised.

    EnvironmentProblem where the package `tokenizers` is needed and missing.
    """
    problems = [] if seq_len > 0 else [f"windows of {seq_len} tokens: give at least 1"]
    if data.format == "text":
        problems += problems_of([Path(file) for file in data.files])
        try:
            open_tokenizer(data.tokenizer, vocab_size)
        except ConfigError as error:
            problems += error.problems
        return problems
    found = list(_problems_of_tokens(data))
    return problems + found


def _problems_of_tokens(data: ValidationData) -> Iterator[str]:
    """Problems of files that hold tokens."""
    tokens, failed = 0, False
    for file in data.files:
        try:
            tokens += _count(Path(file), data)
        except ConfigError as error:
            failed = True
            yield from error.problems
        except ModuleNotFoundError:  # a machine that only launches may lack NumPy; the job's own has it
            return
    if not failed:
        yield from too_short(data.files, tokens)


def _count(file: Path, data: ValidationData) -> int:
    """Tokens in one file."""
    if data.format == "indexed":
        return len(open_indexed(file).tokens)
    from harness.evaluation.token_shards import open_shard  # NumPy, for these files alone

    return len(open_shard(file))
