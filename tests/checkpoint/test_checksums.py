"""Altered bytes in a file of torch.save are found by the sums that lie beside them."""

import io
from pathlib import Path

import pytest
import torch

from harness.checkpoint.torch_save.box import StorageLocation
from harness.checkpoint.torch_save.checksums import damaged_chunks


@pytest.fixture
def chunks(tmp_path: Path) -> list[StorageLocation]:
    """Two tensors saved back to back in one file."""
    path, found = tmp_path / "__0_0.distcp", []
    with path.open("wb") as file:
        for size in (1000, 10):
            held = io.BytesIO()
            torch.save(torch.ones(size), held)
            found.append(StorageLocation(path=path, offset=file.tell(), length=len(held.getvalue())))
            file.write(held.getvalue())
    return found


def _changed(chunks: list[StorageLocation], place: int) -> Path:
    """The file with one bit that is another."""
    path = chunks[0].path
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    return path


def test_what_is_as_it_was_saved(chunks: list[StorageLocation]) -> None:
    assert list(damaged_chunks(chunks)) == []


def test_one_bit_of_a_weight(chunks: list[StorageLocation]) -> None:
    path = _changed(chunks, 2500)
    assert list(damaged_chunks(chunks)) == [
        f"{path}, byte 0: archive/data/0 altered since it was saved, by its CRC-32; copy it again"
    ]


def test_a_chunk_that_is_zeroed(chunks: list[StorageLocation]) -> None:
    path, second = chunks[0].path, chunks[1]
    path.write_bytes(path.read_bytes()[: second.offset] + bytes(second.length or 0))
    (problem,) = damaged_chunks(chunks)
    assert problem.startswith(f"{path}, byte {second.offset}: not a file of torch.save, or cut short")


def test_a_file_that_is_cut_short_or_gone(chunks: list[StorageLocation]) -> None:
    path = chunks[0].path
    path.write_bytes(path.read_bytes()[:-1])
    size = path.stat().st_size
    cut = f"{path}: has {size} bytes, .metadata lists more: it is cut short; copy it again"
    assert list(damaged_chunks(chunks)) == [cut]
    path.unlink()
    gone = f"{path}: cannot be read: No such file or directory; copy the checkpoint again"
    assert list(damaged_chunks(chunks)) == [gone, gone]
