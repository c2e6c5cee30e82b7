"""Real files of torch.save, anywhere in a file: tensors are told as places, whose bytes are the tensors'."""

import os
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_side import rows_of, saved

from harness.checkpoint.torch_save.torch_file import StoredTensor, read_torch_file
from harness.errors import ConfigError


def bytes_of(tensor: StoredTensor, itemsize: int) -> bytes:
    """The bytes that lie where a tensor is said to be."""
    with tensor.path.open("rb") as file:
        return os.pread(file.fileno(), int(np.prod(tensor.shape)) * itemsize, tensor.offset)


def test_tensors_are_places(tmp_path: Path) -> None:
    """Views, parameters and shared storages of several formats, in a window within a file."""
    base = torch.randn(6, 5)
    state = {
        "view": base[2:4],
        "base": base,
        "half": torch.randn(3, 2).bfloat16(),
        "parameter": torch.nn.Parameter(torch.randn(4)),
        "counter": torch.tensor(7),
        "mask": torch.tensor([True]),
        "bytes": torch.arange(9, dtype=torch.uint8),
        "fp8": torch.ones(2, 2).to(torch.float8_e4m3fn),
        "shorts": torch.arange(3).to(torch.uint16),
        "none": None,
    }
    content = saved(state)
    path = tmp_path / "__0_0.distcp"
    path.write_bytes(b"before" * 100 + content + b"after" * 100)
    found = read_torch_file(path, 600, len(content))
    stored = found.content
    assert stored["none"] is None
    for name in ("view", "base", "half", "parameter"):
        tensor = state[name].detach()
        assert stored[name].shape == tuple(tensor.shape)
        assert bytes_of(stored[name], tensor.element_size()) == rows_of(tensor).tobytes()
    assert {name: stored[name].dtype for name in ("half", "counter", "mask", "bytes", "fp8", "shorts")} == {
        "half": "bfloat16",
        "counter": "int64",
        "mask": "bool",
        "bytes": "uint8",
        "fp8": "float8_e4m3fn",
        "shorts": "uint16",
    }
    for entry in found.entries:
        with path.open("rb") as file:
            assert zlib.crc32(os.pread(file.fileno(), entry.size_bytes, entry.offset)) == entry.crc32


def test_elements_that_do_not_follow_each_other(tmp_path: Path) -> None:
    """Said of the tensor; an axis of one element does not count."""
    path = tmp_path / "a.pt"
    torch.save({"t": torch.randn(3, 4).T, "one": torch.randn(3, 4)[:, :1], "row": torch.randn(4, 3).T[:1].T}, path)
    found = read_torch_file(path).content
    assert {name: tensor.contiguous for name, tensor in found.items()} == {"t": False, "one": False, "row": False}
    torch.save({"row": torch.randn(3, 4)[1:2]}, path)
    assert read_torch_file(path).content["row"].contiguous


@pytest.mark.parametrize("keep", [0, 10, 300, 900, -1, -30])
def test_a_file_that_was_cut_short(tmp_path: Path, keep: int) -> None:
    """Wherever it ends, it is a message."""
    path = tmp_path / "model_optim_rng.pt"
    path.write_bytes(saved({"a": torch.ones(100)})[:keep])
    with pytest.raises(ConfigError, match=r"model_optim_rng.pt: not a file of torch.save, or cut short"):
        read_torch_file(path)


def rezipped(content: bytes, **changes: bytes) -> bytes:
    """A torch.save zip with some entries replaced."""
    stream = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, changes.get(Path(name).name, old.read(name)))
    return stream.getvalue()


def test_another_byte_order(tmp_path: Path) -> None:
    """Refused: the bytes would have to be turned."""
    path = tmp_path / "a.pt"
    path.write_bytes(rezipped(saved(torch.ones(2)), byteorder=b"big"))
    with pytest.raises(ConfigError, match="written on a big-endian machine"):
        read_torch_file(path)


def test_a_compressed_entry(tmp_path: Path) -> None:
    """Refused: its bytes are not the tensor's."""
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"x" * 1000)
    with pytest.raises(ConfigError, match=r"data\.pkl is compressed"):
        read_torch_file(path)


def test_a_storage_that_is_too_small(tmp_path: Path) -> None:
    """A tensor never reaches beyond its entry."""
    path = tmp_path / "a.pt"
    path.write_bytes(rezipped(saved({"a": torch.ones(100)}), **{"0": b"abcd"}))
    with pytest.raises(ConfigError, match=r"storage 0 of 100 × float32: 4 bytes; the file is damaged"):
        read_torch_file(path)


def test_the_format_before_zips(tmp_path: Path) -> None:
    """torch up to 1.5 wrote pickles one after the other."""
    path = tmp_path / "a.pt"
    torch.save(torch.ones(2), path, _use_new_zipfile_serialization=False)
    with pytest.raises(ConfigError, match=r"not a file of torch\.save"):
        read_torch_file(path)


def test_no_file(tmp_path: Path) -> None:
    """What cannot be opened is named with the reason."""
    with pytest.raises(ConfigError, match=r"absent\.pt: cannot be read: No such file"):
        read_torch_file(tmp_path / "absent.pt")
