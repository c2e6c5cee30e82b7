"""Megatron's indexed data set: PREFIX.bin holds the tokens of all documents, PREFIX.idx where each one lies.

PREFIX.idx, little-endian: magic (9 bytes), version u64, token type u8, sequences u64, documents + 1 u64;
then sequence lengths in tokens (i32), sequence offsets in bytes (i64), first sequence of each document and one
past the last (i64). Here every document is one sequence. As in Megatron, the files are in this host's byte order,
which is little-endian wherever Megatron runs.
"""

import mmap
import os
import struct
from array import array
from collections.abc import Buffer, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from harness.data.pending import PendingFile
from harness.errors import ConfigError

type TokenCode = Literal["H", "i"]  # array's letters for u16 and i32

MAX_DOCUMENT_TOKENS = 2**31 - 1  # a sequence length is an i32
_HEADER = struct.Struct("<9sQBQQ")
_MAGIC = b"MMIDIDX\x00\x00"
_TYPE_NUMBERS: dict[TokenCode, int] = {"H": 8, "i": 4}
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

    code: TokenCode
    lengths: array[int]  # tokens a document
    offsets: array[int]  # bytes from the start of the .bin
    tokens: Buffer

    @classmethod
    def open(cls, prefix: Path) -> Self:
        """Open PREFIX.bin and PREFIX.idx; ConfigError where they are missing, damaged or do not fit together."""
        try:
            index = idx_path(prefix).read_bytes()
            with bin_path(prefix).open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                tokens: Buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except OSError as error:
            raise ConfigError(f"{error.filename}: cannot read the data set: {error.strerror}") from error
        code, lengths, offsets = _parse_index(index, idx_path(prefix))
        expected = sum(lengths) * array(code).itemsize
        if size != expected:
            raise ConfigError(f"{bin_path(prefix)}: holds {size} bytes, its index says {expected}: prepare it again")
        return cls(code=code, lengths=lengths, offsets=offsets, tokens=tokens)

    def __len__(self) -> int:
        """The number of documents."""
        return len(self.lengths)

    def __getitem__(self, document: int) -> memoryview:
        """The tokens of one document, without a copy."""
        start, count = self.offsets[document], self.lengths[document]
        view = memoryview(self.tokens)[start : start + count * array(self.code).itemsize]
        return view.cast(self.code)

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


def _parse_index(index: bytes, path: Path) -> tuple[TokenCode, array[int], array[int]]:
    """Token type, lengths and offsets out of the .idx file's content."""
    if len(index) < _HEADER.size or not index.startswith(_MAGIC):
        raise ConfigError(f"{path}: not an index of Megatron's data sets (wrong first bytes)")
    _, version, number, sequences, documents = _HEADER.unpack_from(index)
    code = next((code for code, known in _TYPE_NUMBERS.items() if known == number), None)
    if version != 1 or code is None:
        raise ConfigError(f"{path}: version {version}, token type {number}; readable are version 1, types 4 and 8")
    if len(index) < _HEADER.size + 12 * sequences + 8 * documents:
        raise ConfigError(f"{path}: ends before the last of its {sequences} documents: prepare it again")
    lengths, offsets = array("i"), array("q")
    lengths.frombytes(index[_HEADER.size :][: 4 * sequences])
    offsets.frombytes(index[_HEADER.size + 4 * sequences :][: 8 * sequences])
    return code, lengths, offsets
