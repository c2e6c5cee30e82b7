"""What can be said against validation data before a job is queued."""

from collections.abc import Iterator
from pathlib import Path

from harness.data.documents import documents, problems_of, shortened
from harness.errors import ConfigError
from harness.evaluation.data_files import open_indexed, open_tokenizer, too_short
from harness.evaluation.spec import ValidationData

_LOOKED_AT = 2**20
"""Tokens, or bytes of text, that are looked at: as many tokens are evaluated by default."""


def problems_of_tokenizer(folder: str | None, vocab_size: int) -> list[str]:
    """What keeps the tokenizer in a folder, None for the byte-level one, from being this model's."""
    try:
        open_tokenizer(folder, vocab_size)
    except ConfigError as error:
        return list(error.problems)
    return []


def problems_of_data(data: ValidationData, vocab_size: int, seq_len: int) -> list[str]:
    """All that is wrong at first sight, a line each: the first million tokens or bytes are read, no text is tokenised.

    EnvironmentProblem where the package `tokenizers` is needed and missing.
    """
    problems = [] if seq_len > 0 else [f"windows of {seq_len} tokens: give at least 1"]
    if data.format == "text":
        paths = [Path(file) for file in data.files]
        files = problems_of(paths) or _problems_of_texts(paths)
        return [*problems, *files, *problems_of_tokenizer(data.tokenizer, vocab_size)]
    return [*problems, *_problems_of_tokens(data, vocab_size)]


def _problems_of_texts(files: list[Path]) -> list[str]:
    """What is wrong with the first documents of files that are there."""
    problems: list[str] = []
    left = _LOOKED_AT
    for file in files:
        before, found = len(problems), False
        for text in documents(file, problems):
            found = found or bool(text)
            left -= len(text)
            if left < 0:
                return shortened(problems)
        if not found and len(problems) == before:
            problems.append(f"{file}: no document in it")
    return shortened(problems)


def _problems_of_tokens(data: ValidationData, vocab_size: int) -> Iterator[str]:
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
    if failed:
        return
    yield from too_short(data.files, tokens) or _problems_of_first_tokens(data, vocab_size)


def _problems_of_first_tokens(data: ValidationData, vocab_size: int) -> list[str]:
    """Tokens that the model's vocabulary does not have, among the first of sound files."""
    from harness.evaluation.windows import read_windows

    try:
        read_windows(data, vocab_size=vocab_size, seq_len=_LOOKED_AT, max_tokens=_LOOKED_AT)
    except ConfigError as error:
        return list(error.problems)
    return []


def _count(file: Path, data: ValidationData) -> int:
    """Tokens in one file."""
    if data.format == "indexed":
        return len(open_indexed(file).tokens)
    from harness.evaluation.token_shards import open_shard  # NumPy, for these files alone

    return len(open_shard(file))
