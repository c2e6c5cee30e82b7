"""What the torch-native layers carry out, and the flags they refuse rather than compute something else."""

from collections.abc import Iterator
from typing import Any

from harness.errors import ConfigError

GROUPED_ROW_BYTES = 16  # grouped_mm wants every row of its operands to begin at a multiple of this


def refuse_unsupported(args: Any, transformer: Any) -> None:
    """Raise one ConfigError that names every flag the engine cannot carry out.

    `args` are Megatron's parsed arguments, `transformer` the TransformerConfig made of them.
    """
    problems = [*_wrong_engine(args), *_wrong_layers(transformer), *_wrong_experts(transformer)]
    if problems:
        raise ConfigError([f"engine: {problem}" for problem in problems])


def _wrong_engine(args: Any) -> Iterator[str]:
    """Flags of Transformer Engine, and of Megatron's own pretrain_gpt.py."""
    if args.transformer_impl != "local":
        yield f"found --transformer-impl {args.transformer_impl}; allowed: local"
    elsewhere = {
        "--spec": args.spec is not None,
        "--fp8-format": bool(args.fp8),
        "--sft": args.sft,
        "--fim-data": args.fim_data,
        "--dataloader-inter-document-masking": args.dataloader_inter_document_masking,
        "--hybrid-context-parallel": args.hybrid_context_parallel,
        "--overlap-moe-expert-parallel-comm": args.overlap_moe_expert_parallel_comm,
        "--experimental-attention-variant": args.experimental_attention_variant is not None,
    }
    for flag in (flag for flag, given in elsewhere.items() if given):
        yield f"{flag} needs Transformer Engine or Megatron's own pretrain_gpt.py; leave it out"


def _wrong_layers(transformer: Any) -> Iterator[str]:
    """Norms and attentions that are not among the torch-native ones."""
    if transformer.normalization != "RMSNorm" or transformer.layernorm_zero_centered_gamma:
        yield f"found --normalization {transformer.normalization}; allowed: RMSNorm, without --apply-layernorm-1p"
    if transformer.window_size is not None:
        yield "--window-size is not carried out: the attention is causal over the whole sequence; leave it out"
    if transformer.softmax_type != "vanilla":
        yield f"found --softmax-type {transformer.softmax_type}; allowed: vanilla"


def _wrong_experts(transformer: Any) -> Iterator[str]:
    """What the grouped experts do not compute; Megatron's experts one after the other do."""
    if transformer.num_moe_experts is None or not transformer.moe_grouped_gemm:
        return
    unknown = {
        "a bias (pass --disable-bias-linear)": transformer.add_bias_linear,
        "--moe-apply-probs-on-input": transformer.moe_apply_probs_on_input,
        "--moe-latent-size": transformer.moe_latent_size is not None,
        "a clamped activation": transformer.activation_func_clamp_value is not None,
    }
    for name in (name for name, asked in unknown.items() if asked):
        yield f"grouped experts do not have {name}; change that, or leave out --moe-grouped-gemm"
    step = GROUPED_ROW_BYTES // transformer.params_dtype.itemsize
    hidden = transformer.moe_ffn_hidden_size // transformer.expert_tensor_parallel_size
    for what, columns in (
        ("--moe-ffn-hidden-size over --expert-tensor-parallel-size", hidden),
        ("--hidden-size", transformer.hidden_size),
    ):
        if columns % step:
            yield (
                f"{what} is {columns}; --moe-grouped-gemm in {transformer.params_dtype} wants a multiple of {step} "
                f"(rows of {GROUPED_ROW_BYTES} bytes); change it, or leave out --moe-grouped-gemm"
            )
