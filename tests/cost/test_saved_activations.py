"""Activation bytes against the tensors that Megatron's modules save for the backward pass, module by module."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from whole_models import ask_each

from harness.config.megatron_args import MegatronArgs
from harness.cost.activations import boundary_bytes, ends_activations, layer_activations
from harness.cost.implementation import TORCH_ON_CPU
from harness.cost.microbatch_shard import microbatch_shard
from harness.cost.training_flags import training

HERE = Path(__file__).parent
TOLERANCE = 0.02

COMMON: dict[str, str | bool | tuple[str, ...]] = {
    "--bf16": True,
    "--num-layers": "2",
    "--hidden-size": "256",
    "--ffn-hidden-size": "384",
    "--num-attention-heads": "8",
    "--seq-length": "64",
    "--max-position-embeddings": "64",
    "--micro-batch-size": "2",
    "--position-embedding-type": "rope",
    "--untie-embeddings-and-output-weights": True,
    "--normalization": "RMSNorm",
    "--swiglu": True,
    "--disable-bias-linear": True,
    "--num-experts": "16",
    "--moe-router-topk": "3",
    "--moe-layer-freq": "[0,1]",
    "--moe-ffn-hidden-size": "128",
    "--moe-shared-expert-intermediate-size": "192",
    "--moe-token-dispatcher-type": "alltoall",
    "--moe-grouped-gemm": True,
    "--moe-router-dtype": "fp32",
    "--vocab-size": "512",
    "--no-masked-softmax-fusion": True,
    "--no-bias-swiglu-fusion": True,
    "--no-bias-dropout-fusion": True,
}
GROUPED_QUERY = {**COMMON, "--group-query-attention": True, "--num-query-groups": "2", "--kv-channels": "32"}
LATENT = {
    **COMMON,
    "--multi-latent-attention": True,
    "--q-lora-rank": "96",
    "--kv-lora-rank": "64",
    "--qk-layernorm": True,
    "--qk-head-dim": "32",
    "--qk-pos-emb-head-dim": "16",
    "--v-head-dim": "24",
    "--rope-type": "rope",
    "--moe-router-score-function": "sigmoid",
    "--moe-router-enable-expert-bias": True,
}
# moe_act, layernorm and mla_up_proj discard outputs, which Megatron does with Transformer Engine alone.
SELECTIVE = ("none", "core_attn", "mlp", "moe", "shared_experts")
WITHOUT_SHARED = {key: value for key, value in GROUPED_QUERY.items() if "shared" not in key}


def selective(flags: Mapping[str, str | bool | tuple[str, ...]], module: str) -> MegatronArgs:
    """The model with one module recomputed."""
    if module == "none":
        return MegatronArgs(flags)
    return MegatronArgs({**flags, "--recompute-granularity": "selective", "--recompute-modules": module})


MODELS = {
    **{f"GQA, {module}": selective(GROUPED_QUERY, module) for module in SELECTIVE},
    **{f"MLA, {module}": selective(LATENT, module) for module in SELECTIVE},
    "GQA without shared expert": MegatronArgs(WITHOUT_SHARED),
    "GQA, longer": MegatronArgs({**GROUPED_QUERY, "--seq-length": "128", "--max-position-embeddings": "128"}),
}
FULL = {
    "--recompute-granularity": "full",
    "--recompute-method": "uniform",
    "--recompute-num-layers": "1",
}

MODULES = {
    "self_attention.linear_q_down_proj": "linear_qkv",
    "self_attention.linear_q_up_proj": "linear_qkv_up",
    "self_attention.linear_kv_up_proj": "linear_qkv_up",
    "self_attention.q_layernorm": "qk_layernorm",
    "self_attention.kv_layernorm": "qk_layernorm",
    "self_attention.linear_qkv": "linear_qkv",
    "self_attention": "attention",
    "self_attention.core_attention": "attention",
    "self_attention.linear_proj": "attention",
    "mlp.router": "router",
    "mlp.experts": "experts",
    "mlp.shared_experts": "shared_experts",
    "mlp.shared_experts.linear_fc2": "shared_experts",
    "mlp.shared_experts.linear_fc1": "router",  # their common input
}
OURS = {"rope": "attention", "core_attn": "attention", "expert_fc1": "experts", "expert_fc2": "experts"} | {
    "moe_act": "experts"
}


@pytest.fixture(scope="module")
def saved() -> dict[str, dict[str, int]]:
    """What Megatron saved of each of `MODELS`, and of one that is recomputed in full."""
    models = {**MODELS, "full": MegatronArgs({**GROUPED_QUERY, **FULL})}
    argvs = [args.argv() for args in models.values()]
    return dict(zip(models, ask_each(HERE / "saved_by_megatron.py", argvs), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_module_saves_what_is_predicted(name: str, saved: dict[str, dict[str, int]]) -> None:
    job = training(MODELS[name], 1, imbalance=1)
    shard = microbatch_shard(job, TORCH_ON_CPU)
    for index, layer in enumerate(job.arch.layers):
        predicted = Counter[str]()
        for module, size in layer_activations(layer, job.arch.hidden, shard).items():
            predicted[OURS.get(module, module)] += size
        assert predicted == pytest.approx(measured(saved[name], index), rel=TOLERANCE), (name, index)


@pytest.mark.slow
def test_the_ends_and_a_fully_recomputed_layer(saved: dict[str, dict[str, int]]) -> None:
    job = training(MegatronArgs({**GROUPED_QUERY, **FULL}), 1, imbalance=1)
    shard = microbatch_shard(job, TORCH_ON_CPU)
    found = saved["full"]
    ends = found["decoder.final_layernorm"] + found["output_layer"]
    assert ends_activations(job.arch, shard) == pytest.approx(ends, rel=TOLERANCE)
    rotary_table = 4 * 64 * 32  # fp32 angles [s, head size], which all layers share
    assert boundary_bytes(job.arch, shard) * len(job.arch.layers) == found["decoder"] - rotary_table


def measured(saved: Mapping[str, int], index: int) -> dict[str, int]:
    """Bytes that layer `index` saved, under our names of modules."""
    prefix, sizes = f"decoder.layers.{index}", Counter[str]()
    dense = f"{prefix}.mlp.linear_fc2" in saved or prefix in saved
    for name, size in saved.items():
        if name == prefix or name.startswith(f"{prefix}."):
            place = name.removeprefix(prefix).removeprefix(".")
            other = "mlp" if dense else "router"
            default = other if place.partition(".")[0] in ("mlp", "") else place
            sizes[MODULES.get(place, default)] += size
    return dict(sizes)
