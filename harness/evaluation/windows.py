"""Validation data cut into windows of one length: what the model reads, and what it is to predict."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.documents import problems_of, shortened
from harness.errors import ConfigError
from harness.evaluation.data_files import open_tokenizer, too_short
from harness.evaluation.spec import ValidationData
from harness.evaluation.token_sources import TokenStretch, indexed_stretches, shard_stretches, text_stretches

_RULE = (
    "{order}; cut into windows of {seq_len} tokens without overlap, where no context crosses windows but within one "
    "it crosses documents; the last token of a window is the first input of the next, so that every token but the "
    "very first is predicted exactly once; the last window is shorter and its padding is left out"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """n windows of s tokens to predict.

    `tokens` [n, s + 1]: all but the last of a row are its inputs, all but the first its targets; padded with 0.
    `lengths` [n]: how many inputs, and as many targets, are real. `text_bytes` [n, s]: bytes of text that each target
    stands for, None where data are tokens already. `end_of_document`: the token that was put behind each document of a
    text. `sha256`: of the evaluated token ids as little-endian i32. `documents`: how many of them the evaluated tokens
    are from, None where shards do not tell. `truncated`: the files hold more tokens. `rule`: how windows were cut.
    """

    tokens: NDArray[np.int32]
    lengths: NDArray[np.int64]
    text_bytes: NDArray[np.int32] | None
    end_of_document: int | None
    files: tuple[str, ...]
    sha256: str
    documents: int | None
    truncated: bool
    rule: str

    @property
    def seq_len(self) -> int:
        """Tokens to predict in a whole window."""
        return int(self.tokens.shape[1]) - 1

    @property
    def targets(self) -> NDArray[np.int32]:
        """What is predicted, [n, s]."""
        return self.tokens[:, 1:]

    @property
    def real(self) -> NDArray[np.bool_]:
        """Which targets are no padding, [n, s]."""
        return np.arange(self.seq_len) < self.lengths[:, None]


def read_windows(data: ValidationData, *, vocab_size: int, seq_len: int, max_tokens: int) -> Windows:
    """Read the files until `max_tokens` tokens are there to predict, or all of them.

    All that is wrong with what was read is in one ConfigError, token ids of `vocab_size` or more among it.
    """
    problems: list[str] = []
    source, order, end_of_document = _source(data, vocab_size, problems)
    stretches = _taken(source, max_tokens + 1, vocab_size, problems)
    count = sum(len(stretch.tokens) for stretch in stretches)
    problems += [] if problems else too_short(data.files, count)
    if problems:
        raise ConfigError(shortened(problems))
    tokens = np.concatenate([stretch.tokens.astype(np.int32) for stretch in stretches])[: max_tokens + 1]
    return Windows(
        tokens=_rows(tokens, seq_len),
        lengths=_lengths(len(tokens) - 1, seq_len),
        text_bytes=_rows_of_bytes(stretches, max_tokens, seq_len),
        end_of_document=end_of_document,
        files=data.files,
        sha256=sha256(tokens.astype("<i4").tobytes()).hexdigest(),
        documents=None if data.format == "npy" else _documents(stretches, max_tokens + 1),
        truncated=count > max_tokens + 1,
        rule=_RULE.format(order=order, seq_len=seq_len),
    )


def _source(
    data: ValidationData, vocab_size: int, problems: list[str]
) -> tuple[Iterable[TokenStretch], str, int | None]:
    """Where tokens come from, in which order, and what ends a document that was a text."""
    files = [Path(file) for file in data.files]
    if data.format == "indexed":
        return indexed_stretches(files, problems), "documents are joined in order as they are stored", None
    if data.format == "npy":
        return shard_stretches(files, problems), "shards are joined in order as they are stored", None
    found = problems_of(files)
    try:
        tokenizer = open_tokenizer(data.tokenizer, vocab_size)
    except ConfigError as error:
        raise ConfigError([*found, *error.problems]) from error
    if found:
        raise ConfigError(found)
    end = tokenizer.end_of_document
    order = f"documents are joined in order, each followed by its end of document (token {end})"
    return text_stretches(files, tokenizer, problems), order, end


def _taken(source: Iterable[TokenStretch], count: int, vocab_size: int, problems: list[str]) -> list[TokenStretch]:
    """What holds the first `count` tokens, and one token more if there is one: it tells that more follow."""
    stretches: list[TokenStretch] = []
    beyond: dict[Path, str] = {}  # the first of each file
    left = count + 1
    for stretch in source:
        tokens = stretch.tokens[:left]
        if stretch.file not in beyond and (problem := _beyond(stretch, left - 1, vocab_size)):
            beyond[stretch.file] = problem
        stretches.append(stretch._replace(tokens=tokens))
        left -= len(tokens)
        if not left:
            break
    problems += beyond.values()
    return stretches


def _beyond(stretch: TokenStretch, count: int, vocab_size: int) -> str | None:
    """The first of a stretch's first `count` tokens that is outside the vocabulary."""
    tokens = stretch.tokens[:count]
    wrong = (tokens < 0) | (tokens >= vocab_size)
    if not wrong.any():
        return None
    place = int(wrong.argmax())
    return (
        f"{stretch.file}: token {stretch.start + place} (from 0) is {tokens[place]}; the model's vocabulary allows 0 "
        f"to {vocab_size - 1}: these are tokens of another tokenizer"
    )


def _rows(tokens: NDArray[np.int32], seq_len: int) -> NDArray[np.int32]:
    """Windows [n, seq_len + 1] that share one token with the next, the last padded with 0."""
    count = -(-(len(tokens) - 1) // seq_len)
    padded = np.zeros(count * seq_len + 1, np.int32)
    padded[: len(tokens)] = tokens
    return np.lib.stride_tricks.sliding_window_view(padded, seq_len + 1)[::seq_len].copy()


def _lengths(targets: int, seq_len: int) -> NDArray[np.int64]:
    """How many targets are real in each window."""
    starts = np.arange(0, targets, seq_len, dtype=np.int64)
    return np.minimum(targets - starts, seq_len)


def _rows_of_bytes(stretches: list[TokenStretch], max_tokens: int, seq_len: int) -> NDArray[np.int32] | None:
    """Bytes of text of each target, [n, seq_len]; None where the stretches do not tell."""
    sizes = [stretch.text_bytes for stretch in stretches if stretch.text_bytes is not None]
    return _rows(np.concatenate(sizes)[: max_tokens + 1], seq_len)[:, 1:] if sizes else None


def _documents(stretches: list[TokenStretch], count: int) -> int:
    """How many stretches the first `count` tokens are from."""
    starts = np.cumsum([0, *(len(stretch.tokens) for stretch in stretches)])[:-1]
    return int((starts < count).sum())
