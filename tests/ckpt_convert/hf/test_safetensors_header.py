"""Our headers against the safetensors library's, both ways, and every kind of damage."""

import json
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_convert.hf.safetensors import read_header, render_header
from ckpt_convert.tensors import Dtype, TensorInfo
from harness.errors import ConfigError

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

_TORCH = {
    Dtype.BF16: torch.bfloat16,
    Dtype.F16: torch.float16,
    Dtype.F32: torch.float32,
    Dtype.F8_E4M3: torch.float8_e4m3fn,
}
_INFOS = st.builds(
    lambda dtype, shape: TensorInfo(dtype=dtype, shape=tuple(shape)),
    st.sampled_from(list(Dtype)),
    st.lists(st.integers(0, 5), max_size=3),
)
_TWO = {"a": ("F32", [2, 3], [0, 24]), "b": ("BF16", [4], [24, 32])}


def _file(path: Path, header: object, data_bytes: int) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + b"\1" * data_bytes)
    return path


def _entries(**changed: tuple[object, object, object]) -> dict[str, object]:
    """The header of tensors a (24 bytes) and b (8 bytes), some of them changed."""
    return {
        name: {"dtype": dtype, "shape": shape, "data_offsets": span}
        for name, (dtype, shape, span) in (_TWO | changed).items()
    }


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name != "__metadata__"), _INFOS, max_size=6))
def test_the_library_reads_what_we_render(infos: dict[str, TensorInfo]) -> None:
    size_bytes = sum(info.size_bytes for info in infos.values())
    data = bytes(range(1, 101)) * (size_bytes // 100 + 1)
    header = render_header(infos, {"format": "pt"})
    loaded = safetensors_torch.load(header + data[:size_bytes])
    assert len(header) % 8 == 0
    assert set(loaded) == set(infos)
    begin = 0
    for name, info in infos.items():
        assert loaded[name].dtype == _TORCH[info.dtype]
        assert tuple(loaded[name].shape) == info.shape
        assert bytes(loaded[name].view(-1).view(torch.uint8).tolist()) == data[begin : begin + info.size_bytes]
        begin += info.size_bytes


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name != "__metadata__"), _INFOS, max_size=6))
def test_what_the_library_writes_is_read_and_rendered_alike(infos: dict[str, TensorInfo]) -> None:
    tensors = {name: torch.zeros(info.shape, dtype=_TORCH[info.dtype]) for name, info in infos.items()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        safetensors_torch.save_file(tensors, path, metadata={"format": "pt"})
        header = read_header(path)
        assert {name: placed.info for name, placed in header.tensors.items()} == infos
        assert header.metadata == {"format": "pt"}
        in_file_order = sorted(header.tensors.items(), key=lambda item: (item[1].offset, item[1].info.size_bytes))
        if all(info.size_bytes for info in infos.values()):  # empty tensors share an offset: their order is not told
            rendered = render_header({name: placed.info for name, placed in in_file_order}, header.metadata)
            assert path.read_bytes().startswith(rendered)


def test_types_that_no_weight_has_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {"ids": torch.arange(5), "mask": torch.ones(3, dtype=torch.bool), "w": torch.full((2, 2), 7.0)}
    safetensors_torch.save_file(tensors, path)
    header = read_header(path)
    assert header.others == {"ids": "I64", "mask": "BOOL"}
    offset = header.tensors["w"].offset
    assert struct.unpack("<4f", path.read_bytes()[offset : offset + 16]) == (7.0,) * 4


@pytest.mark.parametrize(
    ("header", "data_bytes", "message"),
    [
        (b"{", 0, "not JSON"),
        (b"\xff\xfe{}", 0, "not JSON"),
        (b"[" * 100_000, 0, "not JSON"),
        (b"[]", 0, "a JSON object is needed, found list"),
        (b'{"a":{},"a":{}}', 0, "'a' is there twice"),
        ({"__metadata__": [1]}, 0, "__metadata__ is not an object"),
        ({"a": 3}, 0, "tensor 'a': 3 is not an object"),
        (_entries(a=("F99", [2, 3], [0, 24])), 32, "tensor 'a': dtype 'F99' is not one of BF16, F16"),
        (_entries(a=([], [2, 3], [0, 24])), 32, "tensor 'a': dtype [] is not one of"),
        (_entries(a=("F32", [2, -3], [0, 24])), 32, "tensor 'a': shape [2, -3] is not"),
        (_entries(a=("F32", [True, 6], [0, 24])), 32, "tensor 'a': shape [True, 6] is not"),
        (_entries(a=("F32", [2, 3], [0])), 32, "tensor 'a': data_offsets [0] are not"),
        (_entries(a=("F32", [2, 3], [24, 0])), 32, "data_offsets [24, 0] hold -24 bytes, F32 [2, 3] takes 24"),
        (_entries(a=("F32", [2, 2], [0, 24])), 32, "hold 24 bytes, F32 [2, 2] takes 16"),
        (_entries(b=("BF16", [4], [20, 28])), 28, "tensor 'b' begins at byte 20 of the data, inside what ends at 24"),
        (_entries(b=("BF16", [4], [32, 40])), 40, "tensor 'b' begins at byte 32 of the data, with a hole after"),
        (_entries(), 33, "1 bytes after the last tensor belong to none"),
        (_entries(), 31, "holds 31 bytes of data, its header asks for 32; 1 tensors are cut off, first 'b': truncated"),
    ],
)  # fmt: skip
def test_a_damaged_header_is_named(tmp_path: Path, header: object, data_bytes: int, message: str) -> None:
    path = _file(tmp_path / "x.safetensors", header, data_bytes)
    with pytest.raises(ConfigError) as caught:
        read_header(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_all_broken_lines_are_named_at_once(tmp_path: Path) -> None:
    path = _file(tmp_path / "x.safetensors", _entries(a=("F99", [], [0, 0]), b=("F32", None, [0, 0])), 0)
    with pytest.raises(ConfigError) as caught:
        read_header(path)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("content", [b"", b"\1\0\0", struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 3) + b"{}"])
def test_a_length_beyond_the_file_is_refused_before_it_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"too few for a safetensors file|says that its header has \d+ bytes"):
        read_header(path)


def test_every_cut_of_a_real_file_is_refused(tmp_path: Path) -> None:
    whole = safetensors_torch.save({"a": torch.ones(3, 2), "b": torch.ones(5, dtype=torch.bfloat16)})
    path = tmp_path / "x.safetensors"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError, match=r"x\.safetensors"):
            read_header(path)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("../blobs/gone")
    (tmp_path / "pointer").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 99\n")
    for name, message in {
        "absent": "no such file",
        "folder": "not a file",
        "link": "links to ../blobs/gone, which is not there",
        "pointer": "run `git lfs pull` in",
    }.items():
        with pytest.raises(ConfigError, match=message):
            read_header(tmp_path / name)
