"""The tokens of validation data, document by document or shard by shard, as far as they are asked for."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.data.documents import batches, documents
from harness.data.tokenizers import Tokenizer
from harness.errors import ConfigError
from harness.evaluation.data_files import open_indexed
from harness.evaluation.token_shards import open_shard

_BATCH_BYTES = 2**20  # of text that is tokenised at once: little more than what is evaluated
_SHARD_TOKENS = 2**20


class TokenStretch(NamedTuple):
    """Consecutive tokens of one file, from its token `start` (from 0) on.

    `tokens` [n] are whole numbers of any type, `text_bytes` i32 [n] what they stand for, None where that is not known.
    """

    file: Path
    start: int
    tokens: NDArray[Any]
    text_bytes: NDArray[np.int32] | None = None


def text_stretches(files: list[Path], tokenizer: Tokenizer, problems: list[str]) -> Iterator[TokenStretch]:
    """The documents of text files, each with its end; what is wrong is appended to `problems`, and left out."""
    for file in files:
        start, before = 0, len(problems)
        filled = (text for text in documents(file, problems) if text)
        for batch in batches(filled, _BATCH_BYTES):
            for encoded, text_bytes in tokenizer.encode_measured(batch):
                sizes = np.frombuffer(text_bytes, np.int32)
                tokens = np.frombuffer(encoded, f"u{memoryview(encoded).nbytes // len(sizes)}")
                yield TokenStretch(file, start, tokens, sizes)
                start += len(tokens)
        if not start and len(problems) == before:
            problems.append(f"{file}: no document in it")


def indexed_stretches(files: list[Path], problems: list[str]) -> Iterator[TokenStretch]:
    """The documents of Megatron's data sets, as they are stored; those that cannot be read are told in `problems`."""
    for file in files:
        for reader in _opened(open_indexed, file, problems):
            for start, document in zip(reader.starts, reader, strict=False):
                if document:
                    yield TokenStretch(file, start, np.asarray(document))


def shard_stretches(files: list[Path], problems: list[str]) -> Iterator[TokenStretch]:
    """The tokens of shards, a stretch at a time; those that cannot be read are told in `problems`."""
    for file in files:
        for shard in _opened(open_shard, file, problems):
            for start in range(0, len(shard), _SHARD_TOKENS):
                yield TokenStretch(file, start, shard[start : start + _SHARD_TOKENS])


def _opened[T](open_one: Callable[[Path], T], file: Path, problems: list[str]) -> Iterator[T]:
    """The opened file, or nothing and problems."""
    try:
        yield open_one(file)
    except ConfigError as error:
        problems += error.problems
