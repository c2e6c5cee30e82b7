"""The entries of the zip that torch.save writes: where in a file the bytes of each lie.

Such a zip may lie anywhere in a file: torch.distributed.checkpoint writes many, back to back.
"""

import os
import struct
import zipfile
from dataclasses import dataclass
from io import RawIOBase

from harness.errors import ConfigError

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, …, length of the name, length of the extra field


@dataclass(frozen=True, kw_only=True, slots=True)
class ZipEntry:
    """One entry of the zip: where its bytes lie in the file, and their CRC-32."""

    name: str
    offset: int
    size_bytes: int
    crc32: int


class FileWindow(RawIOBase):
    """`length` bytes of an open file from `start` on, as a file of their own."""

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        self._descriptor, self.start, self.end, self._position = descriptor, start, start + length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.end - self.start}[whence]
        if base + offset < 0:
            raise ValueError("before the window")
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, up to the window's end."""
        left = max(0, self.end - self.start - self._position)
        content = self.at(self.start + self._position, left if size < 0 else min(size, left))
        self._position += len(content)
        return content

    def at(self, offset: int, size: int) -> bytes:
        """`size` bytes at an offset of the file; fewer at its end."""
        return os.pread(self._descriptor, size, offset)


def read_entries(window: FileWindow, where: str) -> dict[str, ZipEntry]:
    """The zip's entries by name, without the folder that all of them lie in."""
    try:
        infos = zipfile.ZipFile(window).infolist()
    except (zipfile.BadZipFile, ValueError, struct.error) as error:
        raise ConfigError(f"{where}: not a file of torch.save, or cut short ({error}); copy it again") from error
    entries = {info.filename.partition("/")[2]: _entry(window, info, where) for info in infos}
    if "data.pkl" not in entries:
        raise ConfigError(f"{where}: a zip without data.pkl: not a file of torch.save")
    order = entries.get("byteorder")
    if order is not None and window.at(order.offset, order.size_bytes) != b"little":
        raise ConfigError(f"{where}: written on a big-endian machine; only little-endian tensors can be read")
    return entries


def _entry(window: FileWindow, info: zipfile.ZipInfo, where: str) -> ZipEntry:
    """One entry. The header before its bytes says where they begin: torch pads it, to align them."""
    if info.compress_type != zipfile.ZIP_STORED:
        raise ConfigError(f"{where}: {info.filename} is compressed; torch.save never does: save the checkpoint again")
    header_offset = window.start + info.header_offset
    header = window.at(header_offset, _LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
        raise ConfigError(f"{where}: {info.filename} is not where the zip's directory says; copy the file again")
    _, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    offset = header_offset + _LOCAL_HEADER.size + name_size + extra_size
    if offset + info.file_size > window.end:
        raise ConfigError(f"{where}: {info.filename} goes on after the file's end; copy the file again")
    return ZipEntry(name=info.filename, offset=offset, size_bytes=info.file_size, crc32=info.CRC)
