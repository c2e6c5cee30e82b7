"""The header of a safetensors file: which tensors it holds and where.

A file is the header's length (u64, little-endian), the header (JSON: name → dtype, shape and data_offsets, free text
under `__metadata__`), then the bytes of all tensors, one after another without a gap. Offsets count from its end.
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeGuard

from ckpt_convert.reading.json_file import LFS_POINTER, lfs_problem, no_file_problem, parse_json
from ckpt_convert.tensors import Dtype, TensorInfo
from harness.errors import ConfigError

_LENGTH = struct.Struct("<Q")
_MAX_HEADER_BYTES = 100_000_000  # what the safetensors library reads at most
_ALIGNMENT = 8
_METADATA = "__metadata__"
_DAMAGED = "the file is damaged: download it again"
_BITS = {dtype.value: 8 * dtype.itemsize for dtype in Dtype} | {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16,
    "I32": 32, "U32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


class Placed(NamedTuple):
    """A tensor and the byte of the file at which it starts."""

    info: TensorInfo
    offset: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a safetensors file holds, and what tells it from another file of the same name."""

    path: Path
    tensors: Mapping[str, Placed]
    others: Mapping[str, str]
    """Tensors of a type that no weight has (whole numbers, truth values, F64): name → the type's name."""
    metadata: Mapping[str, str]
    size_bytes: int
    mtime_ns: int
    sha256: str
    """Of the header's own bytes."""


class _Entry(NamedTuple):
    """One entry of the header; begin and end are bytes from the header's end."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path: Path) -> Header:
    """Read and check the header of the file; ConfigError with everything that is wrong with it."""
    if problem := no_file_problem(path):
        raise ConfigError(problem)
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            raw = _header_bytes(stream, status.st_size, path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    content = parse_json(raw, f"{path}: its header")
    metadata = content.pop(_METADATA, None) or {}
    if not isinstance(metadata, dict):
        raise ConfigError(f"{path}: {_METADATA} is not an object of texts; {_DAMAGED}")
    data_start = _LENGTH.size + len(raw)
    entries = _entries(content, path)
    _check_spans(entries, status.st_size - data_start, path)
    weights = {dtype.value: dtype for dtype in Dtype}
    return Header(
        path=path,
        tensors={
            entry.name: Placed(TensorInfo(dtype=weights[entry.dtype], shape=entry.shape), data_start + entry.begin)
            for entry in entries
            if entry.dtype in weights
        },
        others={entry.name: entry.dtype for entry in entries if entry.dtype not in weights},
        metadata=metadata,
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def render_header(infos: Mapping[str, TensorInfo], metadata: Mapping[str, str]) -> bytes:
    """The first bytes of a file that holds these tensors in this order: length and header, a multiple of 8 bytes."""
    ends = list(accumulate((info.size_bytes for info in infos.values()), initial=0))
    content: dict[str, object] = {_METADATA: dict(metadata)} if metadata else {}
    for (name, info), begin, end in zip(infos.items(), ends, ends[1:], strict=False):
        content[name] = {"dtype": info.dtype.value, "shape": list(info.shape), "data_offsets": [begin, end]}
    raw = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    raw += b" " * (-len(raw) % _ALIGNMENT)
    return _LENGTH.pack(len(raw)) + raw


def _header_bytes(stream: BinaryIO, size_bytes: int, path: Path) -> bytes:
    """The header's JSON, its length checked against the file's before it is read."""
    start = stream.read(len(LFS_POINTER))
    if start == LFS_POINTER:
        raise ConfigError(lfs_problem(path))
    if size_bytes < _LENGTH.size:
        raise ConfigError(f"{path}: {size_bytes} bytes are too few for a safetensors file; {_DAMAGED}")
    (length,) = _LENGTH.unpack_from(start)
    if length > min(size_bytes - _LENGTH.size, _MAX_HEADER_BYTES):
        raise ConfigError(
            f"{path}: says that its header has {length} bytes; the file has {size_bytes}, and "
            f"{_MAX_HEADER_BYTES} is the format's limit: truncated or not safetensors, download it again"
        )
    stream.seek(_LENGTH.size)
    return stream.read(length)


def _entries(content: Mapping[str, object], path: Path) -> list[_Entry]:
    """The tensors in the order of their bytes; ConfigError names every one whose line is not sound."""
    entries, problems = [], []
    for name, line in content.items():
        found = _entry(name, line)
        if isinstance(found, str):
            problems.append(f"{path}: tensor {name!r}: {found}; {_DAMAGED}")
        else:
            entries.append(found)
    if problems:
        raise ConfigError(problems)
    return sorted(entries, key=lambda entry: (entry.begin, entry.end))


def _entry(name: str, line: object) -> _Entry | str:
    """One tensor, or what is wrong with its line."""
    if not isinstance(line, dict):
        return f"{line!r:.80} is not an object of dtype, shape and data_offsets"
    dtype, shape, span = line.get("dtype"), line.get("shape"), line.get("data_offsets")
    bits = _BITS.get(dtype) if isinstance(dtype, str) else None
    if not isinstance(dtype, str) or bits is None:
        return f"dtype {dtype!r:.80} is not one of {', '.join(_BITS)}"
    if not _are_sizes(shape):
        return f"shape {shape!r:.80} is not a list of sizes"
    if not _are_sizes(span) or len(span) != 2:
        return f"data_offsets {span!r:.80} are not a begin and an end"
    begin, end = span
    size_bytes = -(-prod(shape) * bits // 8)
    if end - begin != size_bytes:
        return f"data_offsets {span} hold {end - begin} bytes, {dtype} {shape} takes {size_bytes}"
    return _Entry(name, dtype, tuple(shape), begin, end)


def _are_sizes(value: object) -> TypeGuard[list[int]]:
    """Whether it is a list of whole numbers from 0 up (True is no number here)."""
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _check_spans(entries: Sequence[_Entry], data_bytes: int, path: Path) -> None:
    """Raise ConfigError unless the tensors, in the order of their bytes, fill the data without a hole or an overlap."""
    begins = [0, *accumulate((entry.end for entry in entries), max)]
    problems = [
        f"{path}: tensor {entry.name!r} begins at byte {entry.begin} of the data, "
        f"{'inside' if entry.begin < begin else 'with a hole after'} what ends at {begin}; {_DAMAGED}"
        for entry, begin in zip(entries, begins, strict=False)
        if entry.begin != begin
    ]
    cut_off = [entry.name for entry in entries if entry.end > data_bytes]
    if cut_off:
        problems.append(
            f"{path}: holds {data_bytes} bytes of data, its header asks for {begins[-1]}; {len(cut_off)} tensors are "
            f"cut off, first {cut_off[0]!r}: truncated, download it again"
        )
    elif begins[-1] < data_bytes:
        problems.append(f"{path}: {data_bytes - begins[-1]} bytes after the last tensor belong to none; {_DAMAGED}")
    if problems:
        raise ConfigError(problems)
