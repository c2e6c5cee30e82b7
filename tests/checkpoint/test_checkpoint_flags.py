"""Which flags a checkpoint's weights need, from its folder alone, whatever the format and the release that saved it."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_side import TorchDist

from harness.checkpoint.argument_flags import flags_of
from harness.checkpoint.folder import find_checkpoint
from harness.checkpoint.record import ConversionRecord
from harness.config.megatron_args import MegatronArgs
from harness.config.releases import load
from harness.errors import ConfigError

GIVEN = {"num_layers": 3, "hidden_size": 48, "ffn_hidden_size": 96, "num_attention_heads": 4, "num_experts": 8}
MORE = {"layernorm_epsilon": 1e-6, "max_position_embeddings": 512, "moe_layer_freq": [0, 1, 1], "swiglu": True}
EXPECTED = {
    "--num-layers": "3",
    "--num-experts": "8",
    "--moe-layer-freq": "([0]*1+[1]*2)",
    "--moe-ffn-hidden-size": "96",
    "--norm-epsilon": "1e-6",
    "--swiglu": True,
}


def arguments() -> Namespace:
    """What Megatron 0.19 saves for a run: every argument that it has."""
    given: dict[str, Any] = {option.dest: option.default for option in load("0.19").options.values()}
    return Namespace(**{**given, **GIVEN, **MORE})


def torch_dist(folder: Path, *, as_object: bool) -> Path:
    """A checkpoint of step 5, with its arguments in common.pt, or as 0.19 has them: an object."""
    writer = TorchDist(folder / "iter_0000005")
    writer.tensor("output_layer.weight", torch.ones(4, 2))
    if as_object:
        writer.object("common_state/shard_0_1", {"args": arguments()})
    writer.close(common=None if as_object else {"args": arguments()})
    (folder / "latest_checkpointed_iteration.txt").write_text("5")
    return folder


def legacy(folder: Path) -> Path:
    """A checkpoint of two pipeline ranks."""
    for rank in range(2):
        path = folder / f"iter_0000005/mp_rank_00_00{rank}/model_optim_rng.pt"
        path.parent.mkdir(parents=True)
        torch.save({"args": arguments(), "model": {}}, path)
    (folder / "latest_checkpointed_iteration.txt").write_text("5")
    return folder


@pytest.mark.parametrize("kind", ["common.pt", "object", "legacy"])
def test_the_saved_arguments_tell_the_network(kind: str, tmp_path: Path) -> None:
    folder = legacy(tmp_path) if kind == "legacy" else torch_dist(tmp_path, as_object=kind == "object")
    checkpoint = find_checkpoint(folder)
    assert (checkpoint.format, checkpoint.step) == ("legacy" if kind == "legacy" else "torch_dist", 5)
    flags = flags_of(checkpoint)
    assert {flag: flags.get(flag) for flag in EXPECTED} == EXPECTED
    assert "--multi-latent-attention" not in flags


def test_a_record_tells_more_than_the_arguments(tmp_path: Path) -> None:
    record = ConversionRecord(
        family="Mixtral",
        architecture="MixtralForCausalLM",
        dtype="BF16",
        vocabulary_rows=None,
        flags=MegatronArgs({"--num-layers": "7", "--vocab-size": "300"}),
        limits=(),
        config={},
    )
    checkpoint = find_checkpoint(torch_dist(tmp_path, as_object=False))
    (checkpoint.folder / "moe-harness.json").write_text(json.dumps(record.document()))
    assert dict(flags_of(checkpoint)) == {"--num-layers": "7", "--vocab-size": "300"}


def test_without_arguments_nothing_is_told(tmp_path: Path) -> None:
    writer = TorchDist(tmp_path / "release")
    writer.tensor("output_layer.weight", torch.ones(4, 2))
    writer.close()
    with pytest.raises(ConfigError, match=r"release: the arguments saved in it do not say --num-layers, "):
        flags_of(find_checkpoint(tmp_path / "release"))
