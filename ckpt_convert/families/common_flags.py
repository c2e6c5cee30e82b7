"""The Megatron flags that all families have in common, from config.json. Flags about training are not among them."""

from math import gcd

from ckpt_convert.families.config_file import ConfigFile
from ckpt_convert.families.rope import RopeParameters
from harness.checkpoint.flag_text import number_text
from harness.config.megatron_args import ArgValue

type FamilyFlags = dict[str, ArgValue]

MAX_TP = 32
"""The largest tensor-parallel size that the vocabulary is kept unpadded for."""


def common_flags(config: ConfigFile, *, ffn_hidden: int, default_epsilon: float) -> FamilyFlags:
    """Layers, widths, vocabulary and norms; embedding and MLP without biases."""
    layers, vocab_size = config.whole("num_hidden_layers"), config.whole("vocab_size")
    config.must_be("hidden_act", "silu", "Megatron's --swiglu gates with silu")
    return {
        "--num-layers": str(layers),
        "--hidden-size": str(config.whole("hidden_size")),
        "--ffn-hidden-size": str(ffn_hidden),
        "--num-attention-heads": str(config.whole("num_attention_heads")),
        "--vocab-size": str(vocab_size),
        "--make-vocab-size-divisible-by": str(vocab_size // gcd(vocab_size, MAX_TP)),
        "--normalization": "RMSNorm",
        "--norm-epsilon": number_text(config.number("rms_norm_eps", default_epsilon)),
        "--swiglu": True,
        "--disable-bias-linear": True,
        **({} if config.flag("tie_word_embeddings", False) else {"--untie-embeddings-and-output-weights": True}),
    }


def grouped_attention_flags(config: ConfigFile, rope: RopeParameters) -> FamilyFlags:
    """Grouped-query attention with plain rotary embeddings."""
    hidden, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    groups = config.whole("num_key_value_heads", heads)
    if heads % groups:
        config.problem(f"num_key_value_heads {groups} does not divide num_attention_heads {heads}")
    if rope.kind != "default":
        config.problem(f"rope type is {rope.kind!r}; Megatron has it for latent attention alone; allowed: 'default'")
    head_dim = config.values.get("head_dim")
    if head_dim is None and hidden % heads:
        config.problem(f"num_attention_heads {heads} does not divide hidden_size {hidden}, and there is no head_dim")
    return {
        "--group-query-attention": True,
        "--num-query-groups": str(groups),
        "--kv-channels": str(config.whole("head_dim", max(1, hidden // heads))),
        "--max-position-embeddings": str(config.whole("max_position_embeddings")),
        "--position-embedding-type": "rope",
        "--rotary-base": rope.base,
    }
