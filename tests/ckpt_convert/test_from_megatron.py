"""What Megatron itself saves, sharded by TP2·PP2·EP2 and with the distributed optimizer, goes back bit for bit."""

import json
from pathlib import Path

import pytest
import torch
from engine_jobs import Ranks
from engine_models import ON_CPU, TRAINING
from tiny_models import make_tiny, weights_of

from ckpt_convert.conversion import convert, open_folder, plan_conversion
from ckpt_convert.writing.progress import Silent
from harness.checkpoint.folder import find_checkpoint
from harness.config.megatron_args import MegatronArgs

pytestmark = pytest.mark.slow

SHARDED = (
    *("--tensor-model-parallel-size", "2", "--sequence-parallel", "--pipeline-model-parallel-size", "2"),
    *("--expert-model-parallel-size", "2", "--expert-tensor-parallel-size", "1", "--moe-grouped-gemm"),
    *("--use-distributed-optimizer", "--no-create-attention-mask-in-dataloader"),
)
# A step that changes nothing: what is saved afterwards is what was loaded.
STANDING_STILL = ("--train-iters", "1", "--lr", "0", "--min-lr", "0", "--weight-decay", "0")


def converted(source: Path, target: Path) -> Path:
    """The other side's format."""
    plan = plan_conversion(open_folder(source), to=None, dtype=None, exact=None)
    convert(plan, target, resume=False, threads=2, progress=Silent())
    return target


@pytest.mark.parametrize(
    ("family", "dtype"),
    [("DeepSeek-V3", "fp32"), ("DeepSeek-V2", "bf16"), ("DeepSeek-V2-Lite", "fp32"), ("Mixtral", "bf16"),
     ("Qwen2-MoE", "fp32")],
)  # fmt: skip
def test_saved_by_megatron(family: str, dtype: str, ranks: Ranks, tmp_path: Path) -> None:
    source = make_tiny(family, tmp_path / "source", dtype=dtype)
    loaded, saved = converted(source, tmp_path / "loaded"), tmp_path / "saved"
    flags = MegatronArgs(json.loads((find_checkpoint(loaded).folder / "moe-harness.json").read_text())["flags"]).argv()
    load = ("--load", str(loaded), "--finetune", "--no-load-optim", "--no-load-rng", "--auto-detect-ckpt-format")
    save = ("--save", str(saved), "--save-interval", "1", "--ckpt-format", "torch_dist")
    words = (*ON_CPU, *TRAINING, *flags, *SHARDED, *STANDING_STILL, *load, *save)
    if "--moe-router-enable-expert-bias" in flags:
        words = (*words, "--moe-router-bias-update-rate", "0")
    job = ranks.run(*words, *(("--bf16",) if dtype == "bf16" else ()), world_size=4)
    assert set(job.exit_codes) == {0}, job.log[-4000:]

    found = open_folder(saved)
    assert any("optimizer.distributed" in name for name in found.skipped)
    assert found.record is None
    back = weights_of(converted(saved, tmp_path / "back"))
    original = weights_of(source)
    assert back.keys() == original.keys()
    for name, tensor in original.items():
        assert back[name].dtype == tensor.dtype, name
        assert torch.equal(back[name], tensor), name
