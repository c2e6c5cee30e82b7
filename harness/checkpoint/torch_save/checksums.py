"""Whether what lies in a file is still what torch.save wrote: every entry of its zip has a CRC-32."""

import os
import zlib
from collections.abc import Iterable, Iterator

from harness.checkpoint.torch_save.box import StorageLocation
from harness.checkpoint.torch_save.zip_entries import FileWindow, ZipEntry, read_entries
from harness.errors import ConfigError

_BLOCK_BYTES = 2**24


def damaged_chunks(locations: Iterable[StorageLocation]) -> Iterator[str]:
    """The files that are cut short and the chunks that are altered, a line each. Every byte of them is read."""
    for location in locations:
        where = f"{location.path}, byte {location.offset}"
        try:
            with location.path.open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                length = size - location.offset if location.length is None else location.length
                if location.offset + length > size:
                    yield f"{location.path}: has {size} bytes, .metadata lists more: it is cut short; copy it again"
                    continue
                window = FileWindow(file.fileno(), location.offset, length)
                altered = [entry.name for entry in read_entries(window, where).values() if _is_altered(window, entry)]
        except OSError as error:
            yield f"{location.path}: cannot be read: {error.strerror}; copy the checkpoint again"
        except ConfigError as error:
            yield from error.problems
        else:
            if altered:
                yield f"{where}: {', '.join(altered)} altered since it was saved, by its CRC-32; copy it again"


def _is_altered(window: FileWindow, entry: ZipEntry) -> bool:
    """Whether an entry's bytes have another sum than was written; 0 is written where torch was told to make none."""
    if entry.crc32 == 0:
        return False
    found = 0
    for offset in range(entry.offset, entry.offset + entry.size_bytes, _BLOCK_BYTES):
        found = zlib.crc32(window.at(offset, min(_BLOCK_BYTES, entry.offset + entry.size_bytes - offset)), found)
    return found != entry.crc32
