"""What is written for transformers is read by the safetensors library."""

import json
from pathlib import Path

import numpy as np
import pytest
from array_source import random_source, unchanged
from safetensors import safe_open
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_with_torch

from ckpt_convert.blueprint import HuggingFaceBlueprint
from ckpt_convert.tensors import Dtype
from ckpt_convert.writing import plan as plan_module
from ckpt_convert.writing.hugging_face import hugging_face_files
from ckpt_convert.writing.plan import OutputPlan, plan_safetensors
from ckpt_convert.writing.progress import Silent
from ckpt_convert.writing.write import write

TENSORS = (unchanged("embed", Dtype.F16, 31, 3), unchanged("norm", Dtype.F32, 7), unchanged("head", Dtype.F32, 3, 5))
SOURCE = random_source(*TENSORS)
BLUEPRINT = HuggingFaceBlueprint(tensors=TENSORS, config={"model_type": "mixtral", "name": "größer"})


def test_a_small_model_is_one_file(tmp_path: Path) -> None:
    _write(plan_safetensors(BLUEPRINT), tmp_path / "model")
    found = load_file(tmp_path / "model/model.safetensors")
    assert found.keys() == SOURCE.arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in SOURCE.arrays.items())
    torch_found = load_with_torch(tmp_path / "model/model.safetensors")  # refuses tensors that are not aligned
    assert torch_found["norm"].tolist() == SOURCE.arrays["norm"].tolist()
    with safe_open(tmp_path / "model/model.safetensors", "np") as opened:
        assert opened.metadata() == {"format": "pt"}
    assert json.loads((tmp_path / "model/config.json").read_text()) == BLUEPRINT.config
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {"model.safetensors", "config.json", "integrity.json"}


def test_shards_and_their_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "hugging_face_files", lambda it: hugging_face_files(it, shard_bytes=100))
    _write(plan_safetensors(BLUEPRINT), tmp_path / "model")
    index = json.loads((tmp_path / "model/model.safetensors.index.json").read_text())
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert index["weight_map"] == {"embed": shards[0], "norm": shards[1], "head": shards[1]}
    assert index["metadata"]["total_size"] == sum(array.nbytes for array in SOURCE.arrays.values())
    for name, shard in index["weight_map"].items():
        assert np.array_equal(load_file(tmp_path / "model" / shard)[name], SOURCE.arrays[name])


def _write(plan: OutputPlan, target: Path) -> None:
    write(plan, SOURCE, target, resume=False, threads=2, source_fingerprint="", progress=Silent())
    assert plan.size_bytes == sum(path.stat().st_size for path in target.iterdir())
