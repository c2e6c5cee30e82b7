"""Checkpoints as older releases save them load under any mapping: stacked layers, norms by other names, more rows."""

import json
import re
from argparse import Namespace
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_jobs import Ranks
from engine_models import ON_CPU
from tiny_models import VOCAB_SIZE, make_tiny
from tiny_reference import fixed_tokens, reference_logits
from torch_side import TorchDist, read_by_torch

from ckpt_convert.conversion import convert, open_folder, plan_conversion
from ckpt_convert.families.exact import Exact
from ckpt_convert.writing.progress import Silent
from harness.config.megatron_args import MegatronArgs
from harness.config.releases import Release

pytestmark = pytest.mark.slow

ALL_MOE = {"first_k_dense_replace": 0}
"""Layers that are alike can be stacked."""
MAPPINGS = {
    "one rank": (1, ()),
    "TP2·EP2": (
        2,
        (
            *("--tensor-model-parallel-size", "2", "--expert-model-parallel-size", "2"),
            *("--expert-tensor-parallel-size", "1", "--moe-grouped-gemm"),
        ),
    ),
    "PP2": (2, ("--pipeline-model-parallel-size", "2", "--moe-grouped-gemm")),
}


@pytest.mark.parametrize(
    ("family", "spec", "changes"),
    [
        ("Mixtral", "te", {}),
        ("Mixtral", "local", {}),
        ("DeepSeek-V3", "te", ALL_MOE),
        ("DeepSeek-V3", "local", ALL_MOE),
    ],
)
def test_stacked_layers_load(ranks: Ranks, tmp_path: Path, family: str, spec: str, changes: dict[str, object]) -> None:
    """0.12 keeps no content metadata, stacks layers where --moe-layer-freq is no list, and pads the vocabulary."""
    source = make_tiny(family, tmp_path / "hf", changes=changes)
    exact = Exact(release=Release(0, 12), spec=spec)
    conversion = plan_conversion(open_folder(source), to=None, dtype=None, exact=exact)
    convert(conversion, tmp_path / "apart", resume=False, threads=2, progress=Silent())
    folder = save_stacked(tmp_path / "apart/release", tmp_path / "stacked/iter_0000007")
    tokens = fixed_tokens(VOCAB_SIZE, length=31)
    np.save(tmp_path / "tokens.npy", tokens)
    expected = reference_logits(source, tokens)
    record = json.loads((tmp_path / "apart/release/moe-harness.json").read_text())
    flags = (*MegatronArgs(record["flags"]).argv(), *ON_CPU, "--load", str(folder))
    for world_size, mapping in MAPPINGS.values():
        out = tmp_path / "out.npz"
        words = (str(tmp_path / "tokens.npy"), str(out), *flags, *mapping)
        job = ranks.run(*words, world_size=world_size, task="compute_logits")
        assert set(job.exit_codes) == {0}, job.log[-6000:]
        with np.load(out) as found:
            np.testing.assert_allclose(found["logits"], expected, rtol=0, atol=1e-4)


def save_stacked(apart: Path, folder: Path) -> Path:
    """Write a checkpoint's weights with all layers of a block in one tensor, each, and 384 rows of vocabulary."""
    stacks: dict[str, dict[int, torch.Tensor]] = defaultdict(dict)
    writer = TorchDist(folder)
    for key, tensor in read_by_torch(apart).items():
        if layer := re.fullmatch(r"(decoder|mtp)\.layers\.(\d+)\.(.+)", key):
            stacks[f"{layer[1]}.layers.{layer[3]}"][int(layer[2])] = tensor
        elif tensor.shape[0] == VOCAB_SIZE:
            writer.tensor(key, torch.nn.functional.pad(tensor, (0, 0, 0, 384 - VOCAB_SIZE)))
        else:
            writer.tensor(key, tensor)
    assert any(len(layers) > 1 for layers in stacks.values())
    for key, layers in stacks.items():
        writer.tensor(key, torch.stack([layers[number] for number in sorted(layers)]))
    args = Namespace(tensor_model_parallel_size=2, pipeline_model_parallel_size=1)
    return writer.close(common={"args": args, "iteration": 7, "checkpoint_version": 3.0})
