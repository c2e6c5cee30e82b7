"""Folders as transformers and Hugging Face's cache leave them, and all that may be wrong with one."""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ckpt_convert.hf.folder import HuggingFaceFolder, open_hugging_face
from ckpt_convert.hf.safetensors import render_header
from ckpt_convert.reading.open_files import OpenFiles
from ckpt_convert.tensors import Dtype, TensorInfo
from harness.errors import ConfigError

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

INDEX = "model.safetensors.index.json"
type Tensors = dict[str, "torch.Tensor"]


def _tensors() -> Tensors:
    generator = torch.Generator().manual_seed(7)
    make = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    return {
        "embed": make(40, 8).bfloat16(),
        "norm": make(8),
        "stacked": make(3, 5, 7).half(),
        "scalar": torch.tensor(2.5),
        "ids": torch.arange(4),
    }


def _shard(folder: Path, tensors: Tensors, count: int = 2) -> None:
    """Write config, `count` files and an index."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "mixtral"}')
    weight_map = {}
    for part in range(count):
        file = f"model-{part + 1:05}-of-{count:05}.safetensors"
        held = {name: tensors[name] for name in sorted(tensors)[part::count]}
        safetensors_torch.save_file(held, folder / file)
        weight_map |= dict.fromkeys(held, file)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def _edit_index(folder: Path, **changes: object) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"].update(changes)
    (folder / INDEX).write_text(json.dumps(index))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _shard(tmp_path / "hf", _tensors())
    return tmp_path / "hf"


def _rows(source: HuggingFaceFolder, name: str, first: int, count: int) -> np.ndarray:
    info = source.tensors[name]
    out = np.empty((count, info.columns), info.dtype.numpy)
    source.read_rows(name, first, out)
    return out


def _expected(tensor: "torch.Tensor", info: TensorInfo) -> np.ndarray:
    """(rows, columns) of a tensor's bytes."""
    flat = tensor.contiguous().view(-1).view(torch.uint8).numpy()
    return flat.view(info.dtype.numpy).reshape(info.rows, info.columns)


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _problems(folder: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        open_hugging_face(folder)
    return caught.value.problems


@pytest.mark.parametrize("form", ["sharded", "single", "no index"])
def test_every_row_range_is_read(tmp_path: Path, form: str) -> None:
    tensors, folder = _tensors(), tmp_path / "hf"
    _shard(folder, tensors, 1 if form == "single" else 2)
    if form != "sharded":
        (folder / INDEX).unlink()
    if form == "single":
        next(folder.glob("*.safetensors")).rename(folder / "model.safetensors")
        (folder / "consolidated.safetensors").write_bytes(b"not ours")
    with open_hugging_face(folder) as source:
        assert source.config == {"model_type": "mixtral"}
        assert set(source.tensors) == set(tensors) - {"ids"}
        assert source.files == tuple(sorted(source.files))
        for name, info in source.tensors.items():
            expected = _expected(tensors[name], info)
            for first in range(info.rows + 1):
                for count in {0, 1, info.rows - first} - ({1} if first == info.rows else set()):
                    assert np.array_equal(_rows(source, name, first, count), expected[first : first + count])


def test_rows_outside_the_tensor_or_of_another_type_are_the_callers_mistake(folder: Path) -> None:
    with open_hugging_face(folder) as source:
        for first, out in ((39, np.empty((2, 8), "<u2")), (-1, np.empty((1, 8), "<u2")), (0, np.empty((1, 8), "<f4"))):
            with pytest.raises(ValueError, match="embed: rows"):
                source.read_rows("embed", first, out)


def test_links_into_the_cache_are_followed(folder: Path) -> None:
    blobs = folder.parent / "blobs"
    blobs.mkdir()
    for number, file in enumerate(sorted(folder.glob("*.safetensors"))):
        file.rename(blobs / f"{number:064}")
        file.symlink_to(f"../blobs/{number:064}")
    with open_hugging_face(folder) as source:
        assert len(_rows(source, "embed", 0, 40)) == 40


def test_threads_read_many_shards_through_few_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = {f"t{number:02}": torch.full((64, 16), float(number)) for number in range(40)}
    _shard(tmp_path / "hf", tensors, 40)
    before = _open_descriptors()
    with open_hugging_face(tmp_path / "hf") as source, ThreadPoolExecutor(8) as pool:
        monkeypatch.setattr(source, "_open_files", OpenFiles(limit=3))
        most = 0

        def read(job: int) -> bool:
            nonlocal most
            most = max(most, _open_descriptors() - before)
            number = job * 7 % 40
            return bool((_rows(source, f"t{number:02}", job % 60, 4) == number).all())

        assert all(pool.map(read, range(2000)))
        assert most <= 3 + 8 + 8  # each thread may also be listing the folder
    assert _open_descriptors() <= before


def test_a_file_cut_after_it_was_opened_is_noticed(folder: Path) -> None:
    with open_hugging_face(folder) as source:
        for file in source.files:
            os.truncate(file, file.stat().st_size - 8)
        with pytest.raises(ConfigError, match=r"the file ends at byte .* truncated since it was opened"):
            for name, info in source.tensors.items():
                _rows(source, name, 0, info.rows)


def test_the_fingerprint_tells_changes(folder: Path) -> None:
    prints = [open_hugging_face(folder).fingerprint(), open_hugging_face(folder).fingerprint()]
    os.utime(next(folder.glob("*.safetensors")), ns=(0, 12345))
    prints.append(open_hugging_face(folder).fingerprint())
    (folder / "config.json").write_text('{"model_type": "mixtral", "rope_theta": 1}')
    prints.append(open_hugging_face(folder).fingerprint())
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def _remove(pattern: str) -> Callable[[Path], None]:
    return lambda folder: [path.unlink() for path in folder.glob(pattern)] and None


def _write(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


@pytest.mark.parametrize(
    ("spoil", "messages"),
    [
        (_remove("config.json"), ["config.json: no such file; it says what the model is"]),
        (_write("config.json", "{"), ["config.json: not JSON"]),
        (_write("config.json", "[]"), ["config.json: a JSON object is needed, found list"]),
        (_write("config.json", "version https://git-lfs.github.com/spec/v1"), ["run `git lfs pull`"]),
        (_write("config.json", '{"quantization_config": 3}'), ["quantization_config is 3; an object is needed"]),
        (
            _write("config.json", '{"quantization_config": {"weight_block_size": [128, 0]}}'),
            ["weight_block_size is [128, 0]; two sizes are needed, as in [128, 128]"],
        ),
        (_write(INDEX, "{}"), ["has no weight_map"]),
        (_write(INDEX, '{"weight_map": []}'), ["has no weight_map"]),
        (_remove("model-00002*"), ["model-00002-of-00002.safetensors: no such file"]),
        (_remove("model-*"), ["model-00001-of-00002.safetensors: no such file", "model-00002-of-00002"]),
        (
            lambda folder: _edit_index(folder, ghost="model-00001-of-00002.safetensors"),
            ["model-00001-of-00002.safetensors: lacks ghost, which", "of one revision"],
        ),
        (
            lambda folder: _edit_index(folder, embed="model-00002-of-00002.safetensors"),
            ["00001-of-00002.safetensors: holds embed, which", "00002.safetensors: lacks embed", "of one revision"],
        ),
        (lambda folder: _edit_index(folder, embed="../x.safetensors"), ["names '../x.safetensors'; only files"]),
        (lambda folder: _edit_index(folder, embed="/etc/passwd"), ["names '/etc/passwd'; only files of this"]),
        (lambda folder: _edit_index(folder, embed="..", norm=5), ["names '..'; only", "names 5; only"]),
        (lambda folder: _edit_index(folder, embed=["x"]), ["names ['x']; only files"]),
        (_write("model-00001-of-00002.safetensors", "version https://git-lfs.github.com/spec/v1"), ["git lfs pull"]),
        (
            lambda folder: (_remove("config.json")(folder), _remove("model-00001*")(folder)),
            ["config.json: no such file", "model-00001-of-00002.safetensors: no such file"],
        ),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_named_at_once(folder: Path, spoil: Callable[[Path], object], messages: list[str]) -> None:
    spoil(folder)
    problems = _problems(folder)
    assert len(problems) == len(messages)
    for message in messages:
        assert any(message in problem for problem in problems), problems


def test_a_tensor_in_two_files_is_refused_without_an_index(folder: Path) -> None:
    (folder / INDEX).unlink()
    shutil.copy(folder / "model-00001-of-00002.safetensors", folder / "old.safetensors")
    (problem,) = _problems(folder)
    assert "old.safetensors: embed, norm, stacked are also in model-00001-of-00002.safetensors" in problem


def test_pickles_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    torch.save({"a": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    (problem,) = _problems(tmp_path)
    assert "holds pickled weights (pytorch_model.bin)" in problem
    assert "save_pretrained" in problem


def test_what_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    assert "hf download" in _problems(tmp_path / "absent")[0]
    assert "holds no weights" in " ".join(_problems(tmp_path))
    snapshot = tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert f"give {snapshot}" in _problems(tmp_path)[0]


def test_scales_of_fp8_are_found_by_the_weights_name(tmp_path: Path) -> None:
    infos = {
        "w.weight": TensorInfo(dtype=Dtype.F8_E4M3, shape=(3, 5)),
        "w.weight_scale_inv": TensorInfo(dtype=Dtype.F32, shape=(2, 2)),
    }
    scales = np.arange(4, dtype="<f4").reshape(2, 2)
    (tmp_path / "model.safetensors").write_bytes(render_header(infos, {}) + bytes(15) + scales.tobytes())
    (tmp_path / "config.json").write_text('{"quantization_config": {"weight_block_size": [2, 4]}}')
    with open_hugging_face(tmp_path) as source:
        assert np.array_equal(source.scales("w.weight"), scales)
        assert (source.block_shape.rows, source.block_shape.columns) == (2, 4)
