"""config.json of the six published models, and of a tiny model of each kind whose sizes are all different."""

import json
from pathlib import Path
from typing import Any

from ckpt_convert.tensors import Dtype, TensorInfo

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "hf_configs"
PUBLISHED = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))

_LATENT = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "intermediate_size": 80,
    "moe_intermediate_size": 56,
    "n_routed_experts": 16,
    "num_experts_per_tok": 4,
    "n_group": 4,
    "topk_group": 2,
    "q_lora_rank": 20,
    "kv_lora_rank": 12,
    "qk_nope_head_dim": 10,
    "qk_rope_head_dim": 8,
    "v_head_dim": 14,
    "vocab_size": 300,
}
_GROUPED = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "head_dim": 16,
    "intermediate_size": 80,
    "num_experts_per_tok": 2,
    "vocab_size": 300,
    "max_position_embeddings": 512,
}
TINY: dict[str, tuple[str, dict[str, Any]]] = {
    "DeepSeek-V3": ("DeepSeek-V3", {**_LATENT, "first_k_dense_replace": 1}),
    "DeepSeek-V3 without MTP": ("DeepSeek-V3", {**_LATENT, "num_nextn_predict_layers": 0}),
    "DeepSeek-V2": ("DeepSeek-V2", {**_LATENT, "n_shared_experts": 2}),
    "DeepSeek-V2-Lite": ("DeepSeek-V2-Lite", {**_LATENT, "n_group": 1, "topk_group": 1, "q_lora_rank": None}),
    "Mixtral": ("Mixtral-8x7B", {**_GROUPED, "num_local_experts": 4}),
    "Mixtral, tied": ("Mixtral-8x7B", {**_GROUPED, "num_local_experts": 4, "tie_word_embeddings": True}),
    "Qwen2-MoE": (
        "Qwen2-57B-A14B",
        {
            **_GROUPED,
            "num_experts": 6,
            "moe_intermediate_size": 56,
            "shared_expert_intermediate_size": 72,
            "mlp_only_layers": [0],
        },
    ),
}


def published(name: str) -> dict[str, Any]:
    """A published config.json."""
    config: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return config


def tiny(name: str, **changes: Any) -> dict[str, Any]:
    """A tiny model's config.json, with changed keys; None takes no key away, `...` does."""
    base, sizes = TINY[name]
    merged = {**published(base), **sizes, **changes}
    return {key: value for key, value in merged.items() if value is not ...}


def infos(shapes: dict[str, tuple[int, ...]], dtype: Dtype = Dtype.BF16) -> dict[str, TensorInfo]:
    """Tensors of these shapes."""
    return {name: TensorInfo(dtype=dtype, shape=shape) for name, shape in shapes.items()}
