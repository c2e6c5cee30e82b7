"""Keys, shapes and objects of a converted checkpoint against those that real Megatron models ask for."""

from pathlib import Path
from typing import Any

import pytest
from family_configs import TINY, infos, tiny
from whole_models import ask_each

from ckpt_convert.families.blueprints import to_megatron
from ckpt_convert.families.exact import Exact
from ckpt_convert.families.model import model_of_config
from ckpt_convert.tensors import Dtype
from harness.config.releases import Release

HERE = Path(__file__).parent
MODELS = {name: model_of_config(tiny(name), "config.json") for name in TINY}


@pytest.fixture(scope="module")
def asked() -> dict[str, dict[str, Any]]:
    """What Megatron's model of each of `MODELS` asks a checkpoint for."""
    argvs = [model.flags.argv() for model in MODELS.values()]
    return dict(zip(MODELS, ask_each(HERE / "asked_by_megatron.py", argvs), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_exact_layout_is_what_the_local_spec_asks_for(name: str, asked: dict[str, dict[str, Any]]) -> None:
    model = MODELS[name]
    written = to_megatron(
        model,
        infos(model.table().shapes()),
        dtype=Dtype.F32,
        where="here",
        exact=Exact(release=Release(0, 19), spec="local"),
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
