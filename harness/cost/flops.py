"""Floating-point operations of a training step or a forward pass, under conventions that must not be mixed.

`Counting` says what each one counts. A multiply-add is two operations. All count what all GPUs do together, attention
under a causal mask, and the MTP modules with a layer and logits each.
"""

from collections.abc import Sequence
from enum import Enum

from harness.arch.attention import GQA, Attention
from harness.arch.model import LayerSpec, ModelArch
from harness.arch.moe import Dense, FeedForward
from harness.arch.weights import Weights
from harness.cost.training import Recompute, Training

FORWARD_FLOPS_PER_MAC = 2
TRAINING_FLOPS_PER_MAC = 6  # 2 for the multiply-add, times (forward + gradient of the inputs + gradient of the weights)

type _Block = tuple[tuple[Weights, ...], Attention]


class Counting(Enum):
    """The conventions, each in one line to print beside a figure."""

    MEGATRON = (
        "Megatron's count: causal attention halved, logits over the padded vocabulary, "
        "no router and no gate, no recomputation"
    )
    MODEL = (
        "model FLOPs: every matrix product once forward and twice backward, router and gate counted, "
        "causal attention over the pairs that the mask leaves, logits over the published vocabulary, no recomputation"
    )
    HARDWARE = (
        "hardware FLOPs: model FLOPs over the padded vocabulary, what is recomputed, "
        "and the scores that fused attention computes again in its backward pass"
    )


# The products that `--recompute-modules` repeats, by how the names of their weights begin. The modules that are not
# here multiply no matrices (moe_act, layernorm), or have no weights (core_attn).
RECOMPUTED_WEIGHTS = {
    "mla_up_proj": ("linear_q_proj", "linear_q_up_proj", "linear_kv_up_proj"),
    "mlp": ("linear_fc",),
    "moe": ("router", "experts.", "shared_experts."),
    "shared_experts": ("shared_experts.",),
}


def megatron_flops_per_step(arch: ModelArch, *, sequences: int, seq_len: int) -> int:
    """Operations of one step over `sequences` sequences (the global batch) of `seq_len` tokens: `Counting.MEGATRON`.

    Equal to `num_floating_point_operations` of Megatron-Core 0.19, so that a TFLOP/s computed from it equals the one in
    the log. Attention counts half the square of the sequence; layer norms are left out, but MLA's and MTP's count as
    one vector each.
    """
    layers = _all_layers(arch)
    macs_per_token = sum(_layer_macs(layer, arch.hidden) for layer in layers) + _mtp_macs(arch) + _logit_macs(arch)
    # A causal mask leaves half of the seq_len² scores; written as 6/2 to stay a whole number.
    flops_per_score = TRAINING_FLOPS_PER_MAC // 2 * sum(_core_width(layer.attention) for layer in layers)
    return sequences * seq_len * (TRAINING_FLOPS_PER_MAC * macs_per_token + seq_len * flops_per_score)


def megatron_flops_per_token(arch: ModelArch, *, seq_len: int) -> float:
    """Operations of training on one token of a sequence of `seq_len`: `Counting.MEGATRON`."""
    return megatron_flops_per_step(arch, sequences=1, seq_len=seq_len) / seq_len


def model_flops_per_step(arch: ModelArch, *, sequences: int, seq_len: int) -> int:
    """Operations that training on these sequences cannot do without, whatever the machine: `Counting.MODEL`.

    A sequence has seq_len·(seq_len + 1)/2 causal pairs of query and key.
    """
    return sequences * _product_flops(arch, seq_len, arch.vocab_size)


def forward_flops(arch: ModelArch, counting: Counting, *, sequences: int, seq_len: int) -> int:
    """Operations of one forward pass without gradients: a third of a training step's, as each convention counts it.

    `Counting.HARDWARE` counts what a forward pass carries out: model FLOPs over the padded vocabulary.
    """
    if counting is Counting.MEGATRON:
        training = megatron_flops_per_step(arch, sequences=sequences, seq_len=seq_len)
    else:
        rows = arch.vocab_size if counting is Counting.MODEL else arch.padded_vocab_size
        training = sequences * _product_flops(arch, seq_len, rows)
    return training * FORWARD_FLOPS_PER_MAC // TRAINING_FLOPS_PER_MAC  # without a rest: every term is a multiple of 3


def hardware_flops_per_step(job: Training) -> int:
    """Operations that all GPUs carry out in a step of `job`: `Counting.HARDWARE`.

    FlashAttention-2 (arXiv 2307.08691) multiplies five matrices backward for two forward: the fifth are the scores.
    """
    arch, seq_len = job.arch, job.batch.seq_len
    scores = sum(layer.attention.heads * layer.attention.qk_dim for layer in _all_layers(arch))
    again = FORWARD_FLOPS_PER_MAC * (_causal_pairs(seq_len) * scores + _recomputed_macs(job))
    return job.batch.global_ * (_product_flops(arch, seq_len, arch.padded_vocab_size) + again)


def _product_flops(arch: ModelArch, seq_len: int, vocab_size: int) -> int:
    """Every matrix product of one sequence, forward and backward."""
    logits = seq_len * arch.hidden * vocab_size * (1 + arch.mtp_layers)
    return TRAINING_FLOPS_PER_MAC * (logits + sum(_sequence_macs(*block, seq_len) for block in _blocks(arch)))


def _recomputed_macs(job: Training) -> int:
    """Multiply-adds of one sequence that are computed again in the backward pass."""
    core = job.recompute.granularity == "full" or job.recompute.of("core_attn")
    macs = 0
    for weights, attention in _recomputed_blocks(job):
        again = [weight for weight in weights if _is_repeated(weight, job.recompute)]
        macs += _sequence_macs(again, attention if core else None, job.batch.seq_len)
    return macs


def _recomputed_blocks(job: Training) -> list[_Block]:
    """The layers of which something is recomputed: with `block` the first so many of each virtual stage, no MTP."""
    blocks = _blocks(job.arch)
    if job.recompute.granularity == "none":
        return []
    if job.recompute.layers is None:
        return blocks
    stages = [stage for of_rank in job.pipeline for stage in of_rank]
    return [blocks[index] for stage in stages for index in stage.layers[: job.recompute.layers]]


def _blocks(arch: ModelArch) -> list[_Block]:
    """Each layer, then each MTP module."""
    layers = {layer: layer.weights(arch.hidden, arch.norm) for layer in set(arch.layers)}
    blocks = [(layers[layer], layer.attention) for layer in arch.layers]
    return blocks + [(arch.mtp_weights(), arch.mtp_layer.attention)] * arch.mtp_layers


def _sequence_macs(weights: Sequence[Weights], attention: Attention | None, seq_len: int) -> int:
    """Multiply-adds of one sequence with these weights and in this core attention, forward only.

    A norm, whose weight is a vector, multiplies no matrix.
    """
    per_token = sum(weight.inputs * weight.outputs * weight.used for weight in weights if weight.inputs > 1)
    return seq_len * per_token + (_causal_pairs(seq_len) * _core_width(attention) if attention else 0)


def _is_repeated(weight: Weights, recompute: Recompute) -> bool:
    """Whether the product with this weight is computed again."""
    modules = [begins for module, begins in RECOMPUTED_WEIGHTS.items() if recompute.of(module)]
    return recompute.granularity == "full" or any(weight.name.startswith(begins) for begins in modules)


def _causal_pairs(seq_len: int) -> int:
    return seq_len * (seq_len + 1) // 2


def _all_layers(arch: ModelArch) -> tuple[LayerSpec, ...]:
    """The layers, and those of the MTP modules."""
    return (*arch.layers, *(arch.mtp_layer,) * arch.mtp_layers)


def _layer_macs(layer: LayerSpec, hidden: int) -> int:
    """Multiply-adds of a layer's projections for one token, forward only."""
    return _projection_macs(layer.attention, hidden) + _ffn_macs(layer.ffn, hidden)


def _projection_macs(attention: Attention, hidden: int) -> int:
    if isinstance(attention, GQA):
        query, key_value = attention.heads * attention.head_dim, 2 * attention.kv_heads * attention.head_dim
        return hidden * (query + key_value) + query * hidden
    query = attention.heads * attention.qk_dim
    rank = attention.q_rank
    to_query = hidden * query if rank is None else rank * (hidden + query + 1)
    to_key_value = attention.kv_rank * (hidden + attention.heads * (attention.nope_dim + attention.v_dim) + 1)
    return to_query + to_key_value + hidden * attention.rope_dim + attention.heads * attention.v_dim * hidden


def _core_width(attention: Attention) -> int:
    """Multiply-adds of one query-key pair: the score, and the value weighted by it."""
    return attention.heads * (attention.qk_dim + attention.v_dim)


def _ffn_macs(ffn: FeedForward, hidden: int) -> int:
    if isinstance(ffn, Dense):
        return hidden * ffn.ffn_hidden * ffn.matrices
    return _ffn_macs(ffn.expert, hidden) * ffn.top_k + _ffn_macs(ffn.shared, hidden)


def _mtp_macs(arch: ModelArch) -> int:
    """Norms and eh_proj (H, 2H) of the MTP modules; their layers count as layers."""
    return arch.mtp_layers * (3 * arch.hidden + 2 * arch.hidden * arch.hidden)


def _logit_macs(arch: ModelArch) -> int:
    return arch.hidden * arch.padded_vocab_size * (1 + arch.mtp_layers)
