"""torch_dist folders that real Megatron saved, and those of older releases, against the same tensors read by torch."""

import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed.checkpoint.metadata import Metadata
from torch_side import TorchDist, read_by_torch, rows_of, whole

from ckpt_convert.megatron.names import universal_names
from ckpt_convert.megatron.open import open_megatron
from ckpt_convert.tensors import Dtype, TensorInfo
from harness.errors import ConfigError

LAYER = "decoder.layers.0."


@pytest.mark.slow
@pytest.mark.parametrize("name", ["latent", "stacked"])
def test_every_weight_equals_what_torch_reads(saves: Mapping[str, Path], name: str) -> None:
    """Whatever the mapping, each tensor is whole and bit-equal; so is any run of its rows."""
    source = open_megatron(saves[name])
    expected = read_by_torch(source.folder)
    names = universal_names(expected)
    assert sorted(names[key] for key in expected) == sorted(source.tensors)
    for key, tensor in expected.items():
        info = source.tensors[names[key]]
        assert info.shape == tuple(tensor.shape)
        rows = rows_of(tensor)
        np.testing.assert_array_equal(whole(source, names[key]), rows)
        first, count = info.rows // 3, info.rows // 2
        part = np.zeros((count, info.columns), info.dtype.numpy)
        source.read_rows(names[key], first, part)
        np.testing.assert_array_equal(part, rows[first : first + count])


@pytest.mark.slow
def test_arguments_step_and_what_is_left_out(saves: Mapping[str, Path]) -> None:
    """The run's arguments come from the common state; optimizer states are named, not shown."""
    source = open_megatron(saves["latent"])
    assert source.format == "torch_dist"
    assert source.iteration == 1
    assert source.record is None
    assert source.args["tensor_model_parallel_size"] == 2
    assert source.args["moe_layer_freq"] == [0, 1, 1, 1]
    assert source.args["params_dtype"] == "torch.float32"
    assert any("optimizer" in name for name in source.skipped)
    assert any("_extra_state" in name for name in source.skipped)
    assert not any("optimizer" in name or "_extra_state" in name for name in source.tensors)
    names = source.tensors.keys()
    assert f"{LAYER}self_attention.linear_q_up_proj.layer_norm_weight" in names
    assert f"{LAYER}mlp.linear_fc1.layer_norm_weight" in names
    assert "mtp.layers.0.transformer_layer.pre_mlp_layernorm.weight" in names
    assert source.fingerprint() == open_megatron(saves["latent"]).fingerprint()


def test_layers_in_one_tensor_are_shown_one_by_one(tmp_path: Path) -> None:
    """Up to 0.13, and later where all layers are alike: a leading layer axis, cut by PP, EP and TP."""
    weight = torch.randn(4, 6, 8, 5).bfloat16()  # layers, experts, rows, columns
    cuts = [((p, p + 2), (e, e + 3), (r, r + 4), (0, 5)) for p in (0, 2) for e in (0, 3) for r in (0, 4)]
    writer = TorchDist(tmp_path / "iter_0000007")
    writer.tensor("decoder.layers.mlp.experts.experts.linear_fc1.weight", weight, cuts)
    writer.tensor("mtp.layers.enorm.weight", weight[:2, 0, 0], [((0, 1), (0, 5)), ((1, 2), (0, 5))])
    folder = writer.close(common={"args": Namespace(num_layers=4), "iteration": 7})
    source = open_megatron(folder)
    assert source.iteration == 7
    assert source.args == {"num_layers": 4}
    for layer in range(4):
        name = f"decoder.layers.{layer}.mlp.experts.experts.linear_fc1.weight"
        np.testing.assert_array_equal(whole(source, name), rows_of(weight[layer]))
    np.testing.assert_array_equal(whole(source, "mtp.layers.1.enorm.weight"), rows_of(weight[1, 0, 0]))


def test_local_shards_are_stacked_and_glued(tmp_path: Path) -> None:
    """`singleton_local_shards`: every expert is a tensor, gate and up are two."""
    gate, up, down = torch.randn(3, 4, 6), torch.randn(3, 4, 6), torch.randn(3, 6, 4)
    writer = TorchDist(tmp_path / "iter_0000007")
    halves = [((0, 2), (0, 6)), ((2, 4), (0, 6))]
    for expert in range(3):
        prefix = f"{LAYER}mlp.experts.experts.{expert}."
        writer.tensor(prefix + "linear_fc1.weight_w", gate[expert], halves)
        writer.tensor(prefix + "linear_fc1.weight_v", up[expert], halves)
        writer.tensor(prefix + "linear_fc2.weight", down[expert], [((0, 6), (0, 2)), ((0, 6), (2, 4))])
        writer.object(prefix + "linear_fc1._extra_state/shard_0_1", None)
    source = open_megatron(writer.close())
    assert sorted(source.tensors) == [f"{LAYER}mlp.experts.experts.linear_fc{n}.weight" for n in (1, 2)]
    both = torch.cat([gate, up], 1)
    np.testing.assert_array_equal(whole(source, f"{LAYER}mlp.experts.experts.linear_fc1.weight"), rows_of(both))
    np.testing.assert_array_equal(whole(source, f"{LAYER}mlp.experts.experts.linear_fc2.weight"), rows_of(down))


class MCoreMetadata(Metadata):
    """What Megatron 0.15 pickles in torch's place."""


def test_megatrons_own_metadata_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.15's `.metadata` names a class of Megatron's; it is read without importing it."""
    from megatron.core.dist_checkpointing.strategies import torch as strategies

    MCoreMetadata.__module__ = strategies.__name__
    monkeypatch.setattr(strategies, "MCoreMetadata", MCoreMetadata)
    writer = TorchDist(tmp_path / "release")
    writer.tensor("output_layer.weight", torch.ones(4, 2))
    source = open_megatron(writer.close(root=MCoreMetadata))
    assert source.tensors == {"output_layer.weight": TensorInfo(dtype=Dtype.F32, shape=(4, 2))}
    assert source.iteration is None


def test_local_and_fused_norms_have_one_name(tmp_path: Path) -> None:
    """A norm under both names is one tensor if it lies in one place, and a contradiction if not."""
    writer = TorchDist(tmp_path / "iter_0000001")
    writer.tensor(f"{LAYER}mlp.linear_fc1.weight", torch.ones(4, 2))
    writer.tensor(f"{LAYER}mlp.linear_fc1.layer_norm_weight", torch.ones(2))
    writer.tensor(f"{LAYER}pre_mlp_layernorm.weight", torch.zeros(2))
    with pytest.raises(
        ConfigError, match=r"pre_mlp_layernorm.weight and another tensor are both .*their values lie apart"
    ):
        open_megatron(writer.close())


@pytest.mark.parametrize(
    ("cuts", "flaw"),
    [
        ([((0, 2), (0, 3))], r"no part holds \[2, 0\]"),
        ([((0, 2), (0, 3)), ((1, 4), (0, 3))], r"2 parts overlap at \[1, 0\]"),
        ([((0, 4), (0, 2)), ((0, 2), (2, 3))], r"no part holds \[2, 2\]"),
    ],
)
def test_a_tensor_that_is_not_wholly_there(tmp_path: Path, cuts: list[tuple[tuple[int, ...], ...]], flaw: str) -> None:
    """Refused at opening, with where the hole or the overlap is."""
    writer = TorchDist(tmp_path / "iter_0000001")
    writer.tensor("output_layer.weight", torch.ones(4, 3), cuts)
    with pytest.raises(ConfigError, match=rf"output_layer.weight \[4, 3\]: {flaw}; the checkpoint is incomplete"):
        open_megatron(writer.close())


def test_fp8_weights_are_refused(tmp_path: Path) -> None:
    """Megatron keeps the scales apart: such bytes mean nothing alone."""
    writer = TorchDist(tmp_path / "iter_0000001")
    writer.tensor("output_layer.weight", torch.ones(4, 3).to(torch.float8_e4m3fn))
    with pytest.raises(ConfigError, match=r"output_layer.weight is float8_e4m3fn; readable are .*fp8-param-gather"):
        open_megatron(writer.close())


def test_counters_are_left_out(tmp_path: Path) -> None:
    """A tensor of whole numbers is no weight, and is named among what was left out."""
    writer = TorchDist(tmp_path / "iter_0000001")
    writer.tensor("output_layer.weight", torch.ones(4, 3))
    writer.tensor("decoder.steps", torch.ones(1, dtype=torch.int64))
    source = open_megatron(writer.close())
    assert list(source.tensors) == ["output_layer.weight"]
    assert source.skipped == ("decoder.steps",)


def test_a_chunk_that_was_cut_short(tmp_path: Path) -> None:
    """Found when it is read, at the latest."""
    writer = TorchDist(tmp_path / "iter_0000001", files=1)
    writer.tensor("output_layer.weight", torch.ones(4, 3))
    folder = writer.close()
    path = folder / "__0_0.distcp"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ConfigError, match=r"__0_0.distcp: .*cut short"):
        whole(open_megatron(folder), "output_layer.weight")


def test_a_chunk_outside_the_folder(tmp_path: Path) -> None:
    """A path in `.metadata` is only ever a file's name."""
    writer = TorchDist(tmp_path / "iter_0000001", files=1)
    writer.tensor("output_layer.weight", torch.ones(4, 3))
    folder = writer.close()
    metadata = (folder / ".metadata").read_bytes()
    (folder / ".metadata").write_bytes(metadata.replace(b"__0_0.distcp", b"/etc/passwds"))
    with pytest.raises(ConfigError, match="a chunk lies in /etc/passwds, outside the checkpoint's folder"):
        open_megatron(folder)


def test_reading_needs_no_torch(repository: Path) -> None:
    """The package imports neither torch nor Megatron."""
    loaded = "{'torch', 'megatron', 'transformers', 'safetensors'} & {*sys.modules}"
    code = f"import sys, ckpt_convert.megatron.open, ckpt_convert.inspect; sys.exit({loaded} or None)"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
