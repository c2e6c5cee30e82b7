"""Megatron's indexed data set: PREFIX.bin holds the tokens of all documents, PREFIX.idx where each one lies.

PREFIX.idx, little-endian: magic (9 bytes), version u64, token type u8, sequences u64, documents + 1 u64;
then sequence lengths in tokens (i32), sequence offsets in bytes (i64), first sequence of each document and one
past the last (i64). Written here, every document is one sequence; Megatron may write several (sentences), and a mode
a sequence (i8) behind it all, which is not read. As in Megatron, the files are in this host's byte order, which is
little-endian wherever Megatron runs.
"""

import mmap
import os
import struct
from array import array
from collections.abc import Buffer, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from harness.data.pending import PendingFile
from harness.errors import ConfigError

type TokenCode = Literal["H", "i"]  # array's letters for u16 and i32
type StoredCode = Literal["B", "b", "h", "i", "q", "H"]  # and for u8, i8, i16 and i64, which others may have written

MAX_DOCUMENT_TOKENS = 2**31 - 1  # a sequence length is an i32
_HEADER = struct.Struct("<9sQBQQ")
_MAGIC = b"MMIDIDX\x00\x00"
_TYPE_NUMBERS: dict[StoredCode, int] = {"B": 1, "b": 2, "h": 3, "i": 4, "q": 5, "H": 8}  # 6 and 7 are floats
_U16_VOCAB_LIMIT = 65500


def token_code(vocab_size: int) -> TokenCode:
    """The type Megatron stores tokens of such a vocabulary in: two bytes each below 65500 tokens, else four."""
    return "H" if vocab_size < _U16_VOCAB_LIMIT else "i"


def bin_path(prefix: Path) -> Path:
    """The file of tokens."""
    return prefix.with_name(prefix.name + ".bin")


def idx_path(prefix: Path) -> Path:
    """The file of lengths and offsets."""
    return prefix.with_name(prefix.name + ".idx")


def prefix_of(path: Path) -> Path:
    """The prefix of a data set that is named by it, by its .bin or by its .idx."""
    return path.with_suffix("") if path.suffix in (".bin", ".idx") else path


class IndexedWriter:
    """Writes both files under temporary names and gives them their own when the `with` block ends well.

    Where the block raises, nothing is left: neither the temporary files nor anything under the final names.
    """

    def __init__(self, prefix: Path, code: TokenCode) -> None:
        self._prefix = prefix
        self._code = code
        self._itemsize = array(code).itemsize
        self._lengths = array("i")

    def __enter__(self) -> Self:
        self._bin = PendingFile(bin_path(self._prefix))
        return self

    def add(self, tokens: Buffer) -> int:
        """Append one document, its tokens in the file's own type, and return how many they are."""
        count = memoryview(tokens).nbytes // self._itemsize
        if count > MAX_DOCUMENT_TOKENS:
            raise ConfigError(
                f"document {len(self._lengths) + 1} has {count} tokens; Megatron's index allows "
                f"{MAX_DOCUMENT_TOKENS} a document: split it"
            )
        self._bin.write(tokens)
        self._lengths.append(count)
        return count

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pending = [self._bin]
        try:
            if kind is None:
                index = PendingFile(idx_path(self._prefix))
                pending.append(index)
                index.write(_index(self._lengths, self._code))
                self._publish(pending)
        finally:
            for file in pending:
                file.discard()

    def _publish(self, files: list[PendingFile]) -> None:
        """Name both files. An old index goes first: at no time does an index stand beside tokens of another run."""
        for file in files:
            file.close()
        idx_path(self._prefix).unlink(missing_ok=True)
        for file in files:
            file.publish()


@dataclass(frozen=True, kw_only=True)
class IndexedReader:
    """A written data set, its tokens mapped into memory rather than read."""

    code: StoredCode
    starts: array[int]  # the first token of each document, and one past the last
    tokens: memoryview  # of all documents, one after the other

    @classmethod
    def open(cls, prefix: Path) -> Self:
        """Open PREFIX.bin and PREFIX.idx; ConfigError where they are missing, damaged or do not fit together."""
        try:
            index = idx_path(prefix).read_bytes()
            with bin_path(prefix).open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                content: Buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except OSError as error:
            raise ConfigError(f"{error.filename}: cannot read the data set: {error.strerror}") from error
        code, starts = _parse_index(index, idx_path(prefix))
        expected = starts[-1] * array(code).itemsize
        if size != expected:
            raise ConfigError(f"{bin_path(prefix)}: holds {size} bytes, its index says {expected}: prepare it again")
        return cls(code=code, starts=starts, tokens=memoryview(content).cast("B").cast(code))

    def __len__(self) -> int:
        """The number of documents."""
        return len(self.starts) - 1

    def __getitem__(self, document: int) -> memoryview:
        """The tokens of one document (from 0), without a copy."""
        return self.tokens[self.starts[document] : self.starts[document + 1]]

    def __iter__(self) -> Iterator[memoryview]:
        """All documents in order."""
        return (self[document] for document in range(len(self)))


def _index(lengths: array[int], code: TokenCode) -> bytes:
    """The content of the .idx file."""
    itemsize = array(code).itemsize
    offsets = array("q", accumulate((length * itemsize for length in lengths), initial=0))[:-1]
    documents = array("q", range(len(lengths) + 1))
    header = _HEADER.pack(_MAGIC, 1, _TYPE_NUMBERS[code], len(lengths), len(documents))
    return header + lengths.tobytes() + offsets.tobytes() + documents.tobytes()


def _parse_index(index: bytes, path: Path) -> tuple[StoredCode, array[int]]:
    """Token type, and where each document starts (in tokens; one more for the end), out of the .idx file's content."""
    if len(index) < _HEADER.size or not index.startswith(_MAGIC):
        raise ConfigError(f"{path}: not an index of Megatron's data sets (wrong first bytes)")
    _, version, number, sequences, documents = _HEADER.unpack_from(index)
    code = next((code for code, known in _TYPE_NUMBERS.items() if known == number), None)
    if version != 1 or code is None:
        readable = "types 1 to 5 and 8 (whole numbers)"
        raise ConfigError(f"{path}: version {version}, token type {number}; readable are version 1, {readable}")
    if documents < 1 or len(index) < _HEADER.size + 12 * sequences + 8 * documents:
        raise ConfigError(f"{path}: ends before the last of its {max(0, documents - 1)} documents: prepare it again")
    lengths, offsets, first_sequences = array("i"), array("q"), array("q")
    position = _HEADER.size
    for column, count in ((lengths, sequences), (offsets, sequences), (first_sequences, documents)):
        column.frombytes(index[position : position + column.itemsize * count])
        position += column.itemsize * count
    return code, _document_starts(lengths, offsets, first_sequences, array(code).itemsize, path)


def _document_starts(
    lengths: array[int], offsets: array[int], first_sequences: array[int], itemsize: int, path: Path
) -> array[int]:
    """The first token of each document and one past the last; ConfigError where the index contradicts itself.

    Megatron writes sequences one after the other, and documents so that each sequence is in one.
    """
    starts = array("q", accumulate(lengths, initial=0))
    if (lengths and min(lengths) < 0) or array("q", (start * itemsize for start in starts[:-1])) != offsets:
        raise ConfigError(f"{path}: its sequences do not lie one after the other: prepare it again")
    ends_well = (first_sequences[0], first_sequences[-1]) == (0, len(lengths))
    if not ends_well or any(first > following for first, following in pairwise(first_sequences)):
        raise ConfigError(f"{path}: its documents are not all of its {len(lengths)} sequences: prepare it again")
    return array("q", (starts[first] for first in first_sequences))
