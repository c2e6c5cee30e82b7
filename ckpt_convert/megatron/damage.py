"""What is wrong with a torch_dist folder, as far as names, sizes and zip directories tell: no weight is read."""

from collections.abc import Iterator
from pathlib import Path

from ckpt_convert.integrity import listing_flaws
from harness.checkpoint.torch_save.box import StorageLocation
from harness.checkpoint.torch_save.dcp_metadata import DcpMetadata
from harness.checkpoint.torch_save.torch_file import read_torch_file
from harness.checkpoint.torch_save.zip_entries import ZipEntry
from harness.errors import ConfigError

_SAMPLED_FILES = 16


def damage(folder: Path, metadata: DcpMetadata) -> tuple[str, ...]:
    """Every flaw of an iteration's folder that can be found without reading weights."""
    return (*_files(metadata), *listing_flaws(folder), *_chunks(metadata))


def without_crc(path: Path, entries: tuple[ZipEntry, ...]) -> Iterator[str]:
    """A problem for entries without a CRC-32, in which a flipped bit cannot be found."""
    bare = [entry.name for entry in entries if entry.size_bytes and not entry.crc32]
    if bare:
        yield f"{path}: {len(bare)} entries without a CRC-32, {bare[0]} the first: a flipped bit would not be found"


def _files(metadata: DcpMetadata) -> Iterator[str]:
    """Files that are missing or shorter than .metadata says."""
    for path, end in sorted(metadata.end_of_files().items()):
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            yield f"{path}: missing, {end} bytes"
        else:
            if size < end:
                yield f"{path}: {size} bytes, {end - size} less than .metadata says"


def _chunks(metadata: DcpMetadata) -> Iterator[str]:
    """What is wrong with the first chunk of each of some files."""
    first: dict[Path, StorageLocation] = {}
    for location in (box.location for tensor in metadata.tensors.values() for box in tensor.boxes):
        first.setdefault(location.path, location)
    for location in sorted(first.values(), key=lambda location: location.path)[:_SAMPLED_FILES]:
        if location.path.exists():
            try:
                yield from without_crc(
                    location.path, read_torch_file(location.path, location.offset, location.length).entries
                )
            except ConfigError as error:
                yield from error.problems
