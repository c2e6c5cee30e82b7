"""Keys, shapes and objects of a converted checkpoint against those that real Megatron models ask for."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from family_configs import TINY, infos, tiny

from ckpt_convert.families.blueprints import to_megatron
from ckpt_convert.families.exact import Exact
from ckpt_convert.families.model import model_of_config
from ckpt_convert.tensors import Dtype

HERE = Path(__file__).parent
MODELS = {name: model_of_config(tiny(name), "config.json") for name in TINY}


@pytest.fixture(scope="module")
def asked(repository: Path) -> dict[str, dict[str, Any]]:
    """What Megatron's model of each of `MODELS` asks a checkpoint for."""
    pytest.importorskip("megatron.training")
    environment = {**os.environ, "PYTHONPATH": str(repository), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    program = subprocess.run(
        [sys.executable, HERE / "asked_by_megatron.py"],
        input=json.dumps([model.flags.argv() for model in MODELS.values()]),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert program.returncode == 0, program.stderr[-3000:]
    return dict(zip(MODELS, json.loads(program.stdout), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_exact_layout_is_what_the_local_spec_asks_for(name: str, asked: dict[str, dict[str, Any]]) -> None:
    model = MODELS[name]
    written = to_megatron(
        model,
        infos(model.table().shapes()),
        dtype=Dtype.F32,
        where="here",
        exact=Exact(release=(0, 19), spec="local"),
    )
    assert {tensor.name: list(tensor.shape) for tensor in written.tensors} == asked[name]["tensors"]
    assert sorted(written.objects) == sorted(asked[name]["objects"])


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_universal_layout_holds_all_that_is_asked_for(name: str, asked: dict[str, dict[str, Any]]) -> None:
    model = MODELS[name]
    written = to_megatron(model, infos(model.table().shapes()), dtype=Dtype.F32, where="here")
    shapes = {tensor.name: list(tensor.shape) for tensor in written.tensors}
    shapes |= {alias: shapes[key] for key, aliases in written.aliases.items() for alias in aliases}
    assert asked[name]["tensors"].items() <= shapes.items()
    assert set(asked[name]["objects"]) <= set(written.objects)
