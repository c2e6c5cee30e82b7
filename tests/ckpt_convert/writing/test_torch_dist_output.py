"""What is written as torch_dist is read by torch.distributed.checkpoint and by Megatron, bit by bit."""

import argparse
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from array_source import ArraySource, random_array, unchanged
from megatron.core import dist_checkpointing
from megatron.core.dist_checkpointing.mapping import ShardedObject, ShardedTensor
from megatron.core.dist_checkpointing.validation import verify_integrity_manifest

from ckpt_convert.assembly import Assembly, Part
from ckpt_convert.blueprint import MegatronBlueprint
from ckpt_convert.tensors import Dtype
from ckpt_convert.writing import torch_dist
from ckpt_convert.writing.chunks import chunks
from ckpt_convert.writing.plan import plan_torch_dist
from ckpt_convert.writing.progress import Silent
from ckpt_convert.writing.write import write
from harness.checkpoint.record import ConversionRecord, read_record
from harness.config.megatron_args import MegatronArgs

BF16, F32 = Dtype.BF16, Dtype.F32
EXPERTS = Assembly(
    name="experts",
    dtype=BF16,
    shape=(3, 8, 6),
    parts=tuple(Part(source=f"{name}{expert}", first=0, rows=4) for expert in range(3) for name in ("gate", "up")),
)
PADDED = Assembly(
    name="padded",
    dtype=BF16,
    shape=(10, 6),
    parts=(Part(source="vocabulary", first=0, rows=7), Part(source=None, first=0, rows=3)),
)
BLUEPRINT = MegatronBlueprint(
    tensors=(EXPERTS, PADDED, unchanged("norm", BF16, 6), unchanged("bias", F32, 5), unchanged("wide", F32, 3, 50)),
    aliases={"norm": ("norm.local", "norm.te")},
    objects=("a._extra_state/shard_0_1", "e._extra_state/shard_1_3"),
    args={"num_layers": 2, "rope": None, "norm_epsilon": 1e-6, "moe_layer_freq": [0, 1], "bf16": True},
    content_metadata={"non_homogeneous_layers": True},
    record=ConversionRecord(
        family="DeepSeek-V3",
        architecture="DeepseekV3ForCausalLM",
        dtype="BF16",
        vocabulary_rows=None,
        flags=MegatronArgs({"--num-layers": "1", "--swiglu": True}),
        limits=(),
        config={},
    ),
)
SOURCE = ArraySource(
    {f"{name}{expert}": (BF16, random_array(expert, BF16, 4, 6)) for expert in range(3) for name in ("gate", "up")}
    | {"vocabulary": (BF16, random_array(7, BF16, 7, 6)), "norm": (BF16, random_array(8, BF16, 6))}
    | {"bias": (F32, random_array(9, F32, 5)), "wide": (F32, random_array(10, F32, 3, 50))}
)
EXPECTED = {
    "experts": np.stack([np.concatenate([SOURCE.arrays[f"gate{e}"], SOURCE.arrays[f"up{e}"]]) for e in range(3)]),
    "padded": np.concatenate([SOURCE.arrays["vocabulary"], np.zeros((3, 6), np.uint16)]),
    "norm": SOURCE.arrays["norm"],
    "norm.local": SOURCE.arrays["norm"],
    "norm.te": SOURCE.arrays["norm"],
    "bias": SOURCE.arrays["bias"],
    "wide": SOURCE.arrays["wide"],
}


@pytest.fixture(params=[None, 40], ids=["whole", "tiny-chunks"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The blueprint as written; with tiny chunks, tensors are cut along both axes and fill several files."""
    if request.param:
        monkeypatch.setattr(torch_dist, "chunks", partial(chunks, limit_bytes=request.param))
        monkeypatch.setattr(torch_dist, "_file_bytes", lambda total_bytes: 6000)
    target = tmp_path / "checkpoint"
    plan = plan_torch_dist(BLUEPRINT)
    write(plan, SOURCE, target, resume=False, threads=2, source_fingerprint="", progress=Silent())
    files = {str(path.relative_to(target)): path.stat().st_size for path in target.rglob("*") if path.is_file()}
    assert sum(files.values()) == plan.size_bytes
    assert all(files[file.name] == file.size_bytes for file in (*plan.files, *plan.seals))
    assert (len(list(target.glob("release/*.distcp"))) > 3) == bool(request.param)
    assert sorted(tmp_path.iterdir()) == [target]
    return target


def test_dcp_loads_every_tensor_and_alias(checkpoint: Path) -> None:
    tensors = {name: torch.full(array.shape, torch.nan, dtype=_dtype(array)) for name, array in EXPECTED.items()}
    dcp.load(tensors, checkpoint_id=checkpoint / "release", no_dist=True)
    for name, tensor in tensors.items():
        assert torch.equal(tensor, _tensor(EXPECTED[name])), name


def test_every_chunk_is_a_file_of_torch_save(checkpoint: Path) -> None:
    """It loads without trust, and holds the box of the tensor that the metadata says."""
    metadata = dcp.FileSystemReader(checkpoint / "release").read_metadata()
    for index, place in metadata.storage_data.items():
        if index.offset is None:
            continue
        with (checkpoint / "release" / place.relative_path).open("rb") as stream:
            stream.seek(place.offset)
            assert stream.tell() % 64 == 0
            chunk = torch.load(io.BytesIO(stream.read(place.length)), weights_only=True)
        box = tuple(slice(at, at + size) for at, size in zip(index.offset, chunk.shape, strict=True))
        assert torch.equal(chunk, _tensor(EXPECTED[index.fqn])[box]), index
        sizes = [chunk.sizes for chunk in metadata.state_dict_metadata[index.fqn].chunks]
        assert chunk.shape in sizes


def test_megatron_reads_what_is_common(checkpoint: Path) -> None:
    folder = str(checkpoint / "release")
    common = dist_checkpointing.load_common_state_dict(folder)
    assert common["args"] == argparse.Namespace(**BLUEPRINT.args)
    assert common["iteration"] == 0
    assert dist_checkpointing.load_content_metadata(preloaded_state_dict=common) == {"non_homogeneous_layers": True}
    assert dist_checkpointing.check_is_distributed_checkpoint(folder)
    assert (checkpoint / "latest_checkpointed_iteration.txt").read_text() == "release"
    assert read_record(checkpoint / "release") == BLUEPRINT.record


@pytest.fixture
def one_rank() -> Iterator[None]:
    """Megatron loads in a job only."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_rank")
def test_megatron_loads_shards(checkpoint: Path) -> None:
    """As a rank asks for them: the rows that follow the gate of expert 1, a norm by its second name, an object."""
    up, norm = torch.zeros(1, 4, 6, dtype=torch.bfloat16), torch.zeros(6, dtype=torch.bfloat16)
    extra = ShardedObject("e._extra_state", None, (3,), (1,))
    asked = {
        "up": ShardedTensor.from_rank_offsets("experts", up, (0, 1, 3), (1, 1, 2)),
        "norm": ShardedTensor.from_rank_offsets("norm.te", norm),
        "extra": extra,
    }
    loaded = dist_checkpointing.load(asked, str(checkpoint / "release"), validate_access_integrity=False)
    assert torch.equal(loaded["up"], _tensor(EXPECTED["experts"])[1:2, 4:])
    assert torch.equal(loaded["norm"], _tensor(EXPECTED["norm"]))
    assert loaded["extra"] is None
    assert loaded["args"].num_layers == 2


def test_objects_are_empty_lists_of_one(checkpoint: Path) -> None:
    metadata = dcp.FileSystemReader(checkpoint / "release").read_metadata()
    for name in BLUEPRINT.objects:
        place = metadata.storage_data[dcp.metadata.MetadataIndex(name)]
        content = (checkpoint / "release" / place.relative_path).read_bytes()[place.offset :][: place.length]
        assert torch.load(io.BytesIO(content), weights_only=True) == [None]


def test_megatron_finds_a_flipped_bit(checkpoint: Path) -> None:
    verify_integrity_manifest(str(checkpoint / "release"))
    weights = checkpoint / "release/__0_0.distcp"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(dist_checkpointing.core.CheckpointingException, match=r"__0_0\.distcp: hash mismatch"):
        verify_integrity_manifest(str(checkpoint / "release"))


def _dtype(array: np.ndarray) -> torch.dtype:
    return torch.bfloat16 if array.dtype == np.uint16 else torch.float32


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).view(_dtype(array))
