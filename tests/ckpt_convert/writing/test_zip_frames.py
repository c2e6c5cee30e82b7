"""A tensor in its frame is a file that torch.load reads without trusting it."""

import io
import zipfile
import zlib

import numpy as np
import pytest
import torch
from array_source import random_array

from ckpt_convert.tensors import Dtype, TensorInfo
from ckpt_convert.writing.torch_zip import object_archive, tensor_head, tensor_tail


@pytest.mark.parametrize("dtype", [Dtype.BF16, Dtype.F16, Dtype.F32])
@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (1, 4, 6), (2, 3, 1)])
def test_torch_loads_a_framed_tensor(dtype: Dtype, shape: tuple[int, ...]) -> None:
    array = random_array(0, dtype, *shape)
    archive = framed(dtype, array)
    tensor = torch.load(io.BytesIO(archive), weights_only=True)
    reference = torch.frombuffer(bytearray(array.tobytes()), dtype=tensor.dtype).reshape(shape)
    assert str(tensor.dtype).removeprefix("torch.") in {"bfloat16", "float16", "float32"}
    assert torch.equal(tensor, reference)
    assert tensor.is_contiguous()


def test_the_frame_is_like_that_of_torch_save() -> None:
    """Same pickle, same alignment, same entries but for those that name the writer."""
    array = random_array(0, Dtype.F32, 2, 3)
    saved = io.BytesIO()
    torch.save(torch.from_numpy(array), saved)
    ours = zipfile.ZipFile(io.BytesIO(framed(Dtype.F32, array)))
    theirs = zipfile.ZipFile(saved)
    for entry in ours.infolist():
        assert ours.read(entry) == theirs.read(entry.filename) or entry.filename.endswith("data.pkl")
        assert entry.compress_type == zipfile.ZIP_STORED
    assert len(tensor_head(TensorInfo(dtype=Dtype.F32, shape=(2, 3)))) % 64 == 0


def test_crc_is_that_of_the_data() -> None:
    array = random_array(0, Dtype.BF16, 8, 8)
    archive = bytearray(framed(Dtype.BF16, array))
    assert zipfile.ZipFile(io.BytesIO(archive)).testzip() is None
    archive[archive.index(array.tobytes()) + 5] ^= 1
    assert zipfile.ZipFile(io.BytesIO(archive)).testzip() == "archive/data/0"


def test_objects_load_with_weights_only() -> None:
    loaded = torch.load(io.BytesIO(object_archive({"iteration": 0, "names": ["a", None]})), weights_only=True)
    assert loaded == {"iteration": 0, "names": ["a", None]}


def framed(dtype: Dtype, array: np.ndarray) -> bytes:
    info = TensorInfo(dtype=dtype, shape=array.shape)
    return tensor_head(info) + array.tobytes() + tensor_tail(info, zlib.crc32(array.tobytes()))
