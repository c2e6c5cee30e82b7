"""Tiny random models of every family, as folders such as the Hub publishes: config.json and safetensors.

    folder = make_tiny("DeepSeek-V3", tmp_path / "v3")                      # fp32
    folder = make_tiny("Mixtral", tmp_path / "mixtral", dtype="bf16", shards=3)

The architectures are real transformers models, the names in the files the published ones (an expert at a time), and the
configs spell things as the published ones do (`rope_scaling`, `torch_dtype`, …). Nothing is left at zero or one: norms,
biases and router biases are random, and the weights large enough that a wrong mapping shows in the logits.
Shapes suit TP, PP and EP of 2 and grouped experts; the vocabulary is odd, so that it has to be padded.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

FAMILIES = ("DeepSeek-V3", "DeepSeek-V2", "DeepSeek-V2-Lite", "Mixtral", "Qwen2-MoE")
VOCAB_SIZE = 257
LAYERS = 4
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

_COMMON: Mapping[str, object] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 64,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "attention_dropout": 0.0,
    "tie_word_embeddings": False,
    "use_cache": True,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
_LATENT: Mapping[str, object] = {
    **_COMMON,
    "num_key_value_heads": 4,
    "intermediate_size": 96,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 12,
    "attention_bias": False,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000,
    "max_position_embeddings": 163840,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "moe_intermediate_size": 48,
    "n_routed_experts": 16,
    "num_experts_per_tok": 4,
    "pretraining_tp": 1,
    "ep_size": 1,
}


def _yarn(mscale: float) -> dict[str, object]:
    """DeepSeek's rope scaling, which differs between its models in the magnitude alone."""
    lengths = {"factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1}
    return {"type": "yarn", **lengths, "mscale": mscale, "mscale_all_dim": mscale}


_DEEPSEEK_V2: Mapping[str, object] = {
    **_LATENT,
    "architectures": ["DeepseekV2ForCausalLM"],
    "model_type": "deepseek_v2",
    "n_shared_experts": 2,
    "norm_topk_prob": False,
    "scoring_func": "softmax",
    "seq_aux": True,
    "aux_loss_alpha": 0.001,
    "rope_scaling": _yarn(0.707),
}
CONFIGS: Mapping[str, Mapping[str, object]] = {
    "DeepSeek-V3": {
        **_LATENT,
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        "q_lora_rank": 48,
        "n_shared_experts": 1,
        "n_group": 4,
        "topk_group": 2,
        "norm_topk_prob": True,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "routed_scaling_factor": 2.5,
        "num_nextn_predict_layers": 1,
        "rope_scaling": _yarn(1.0),
    },
    "DeepSeek-V2": {
        **_DEEPSEEK_V2,
        "q_lora_rank": 48,
        "n_group": 4,
        "topk_group": 2,
        "topk_method": "group_limited_greedy",
        "routed_scaling_factor": 16.0,
    },
    "DeepSeek-V2-Lite": {
        **_DEEPSEEK_V2,
        "q_lora_rank": None,
        "n_group": 1,
        "topk_group": 1,
        "topk_method": "greedy",
        "routed_scaling_factor": 1.0,
    },
    "Mixtral": {
        **_COMMON,
        "architectures": ["MixtralForCausalLM"],
        "model_type": "mixtral",
        "num_key_value_heads": 2,
        "intermediate_size": 96,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1000000.0,
        "max_position_embeddings": 32768,
        "sliding_window": None,
        "router_aux_loss_coef": 0.02,
        "output_router_logits": False,
    },
    "Qwen2-MoE": {
        **_COMMON,
        "architectures": ["Qwen2MoeForCausalLM"],
        "model_type": "qwen2_moe",
        "num_key_value_heads": 2,
        "intermediate_size": 160,
        "moe_intermediate_size": 48,
        "shared_expert_intermediate_size": 96,
        "num_experts": 8,
        "num_experts_per_tok": 4,
        "norm_topk_prob": False,
        "decoder_sparse_step": 1,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "max_position_embeddings": 131072,
        "max_window_layers": 28,
        "sliding_window": 65536,
        "use_sliding_window": False,
        "router_aux_loss_coef": 0.001,
        "output_router_logits": False,
    },
}


def make_tiny(
    family: str,
    folder: Path,
    *,
    dtype: str = "fp32",
    shards: int = 2,
    seed: int = 1,
    changes: Mapping[str, object] | None = None,
) -> Path:
    """Write a model of one of FAMILIES into `folder`, and return the folder.

    `changes` to the config are keys to set. One shard is `model.safetensors` without an index.
    """
    config = {**CONFIGS[family], **(changes or {}), "torch_dtype": "float32" if dtype == "fp32" else "bfloat16"}
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", config)
    tensors = random_tensors(published_shapes(folder), seed, DTYPES[dtype])
    _duplicate(tensors)
    write_tensors(folder, tensors, shards)
    return folder


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a Hugging Face folder."""
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def published_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every tensor that the model of a config.json has on the Hub, by name, with its shape."""
    config = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        shapes = {name: tuple(tensor.shape) for name, tensor in load_file(f"{saved}/model.safetensors").items()}
    return {**shapes, **_predicting_shapes(shapes, config)}


def random_tensors(shapes: Mapping[str, tuple[int, ...]], seed: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Random weights: norms around 1, matrices that keep the size of what they multiply, router biases in fp32."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in sorted(shapes.items()):
        values = torch.randn(shape, generator=generator)
        if name.endswith(("norm.weight", "layernorm.weight")):
            values = 1 + 0.2 * values
        elif len(shape) == 1:
            values = 0.1 * values
        elif "embed_tokens" not in name:
            values = values * 1.5 / shape[-1] ** 0.5
        tensors[name] = values.to(torch.float32 if name.endswith("e_score_correction_bias") else dtype)
    return tensors


def write_tensors(folder: Path, tensors: Mapping[str, torch.Tensor], shards: int) -> None:
    """Write safetensors as the Hub has them: one file, or shards and their index."""
    if shards == 1:
        save_file(dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        mine = names[shard * len(names) // shards : (shard + 1) * len(names) // shards]
        save_file({name: tensors[name] for name in mine}, folder / file, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(mine, file))
    size = sum(tensor.nbytes for tensor in tensors.values())
    _write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": weight_map})


def _predicting_shapes(shapes: Mapping[str, tuple[int, ...]], config: Any) -> dict[str, tuple[int, ...]]:
    """The tensors of the layers that predict further tokens, which transformers leaves out when it saves."""
    hidden = config.hidden_size
    last = f"model.layers.{config.num_hidden_layers - 1}."
    found: dict[str, tuple[int, ...]] = {}
    for number in range(getattr(config, "num_nextn_predict_layers", 0) or 0):
        layer = f"model.layers.{config.num_hidden_layers + number}."
        found |= {name.replace(last, layer): shape for name, shape in shapes.items() if name.startswith(last)}
        found |= {f"{layer}{norm}.weight": (hidden,) for norm in ("enorm", "hnorm", "shared_head.norm")}
        found[f"{layer}eh_proj.weight"] = (hidden, 2 * hidden)
        found |= {f"{layer}{name}.weight": (config.vocab_size, hidden) for name in ("embed_tokens", "shared_head.head")}
    return found


def _duplicate(tensors: dict[str, torch.Tensor]) -> None:
    """Each predicting layer repeats the model's embedding and head."""
    for name in [name for name in tensors if name.startswith("model.layers.")]:
        if name.endswith(".embed_tokens.weight"):
            tensors[name] = tensors["model.embed_tokens.weight"].clone()
        if name.endswith(".shared_head.head.weight"):
            tensors[name] = tensors["lm_head.weight"].clone()


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
