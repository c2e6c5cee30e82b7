"""Can Megatron run this? Its own rules, as far as they can be known before a job starts; all of them at once."""

from harness.config.megatron_args import MegatronArgs
from harness.plan import (
    batch_rules,
    engine_rules,
    grid_rules,
    overlap_rules,
    pipeline_rules,
    precision_rules,
    routing_rules,
    schedule_rules,
)
from harness.plan.parallel import batch, parallel
from harness.plan.size_rules import sizes
from harness.plan.violation import Case, Violation

RULES = (
    grid_rules.world_size,
    grid_rules.expert_parallel,
    grid_rules.attention_heads,
    grid_rules.tensor_widths,
    pipeline_rules.pipeline_flags,
    pipeline_rules.pipeline_layers,
    pipeline_rules.mtp_layout,
    batch_rules.global_batch,
    batch_rules.interleaving,
    batch_rules.sequence_length,
    batch_rules.mtp_positions,
    batch_rules.mtp_context_parallel,
    routing_rules.layer_pattern,
    routing_rules.top_k,
    routing_rules.groups,
    routing_rules.expert_bias,
    routing_rules.linear_bias,
    routing_rules.sequence_parallel,
    routing_rules.dispatcher,
    overlap_rules.expert_overlap,
    overlap_rules.delayed_wgrad,
    precision_rules.grouped_gemm,
    precision_rules.fp16_experts,
    precision_rules.quantization_padding,
    schedule_rules.units,
    schedule_rules.learning_rate,
    engine_rules.fp8,
)


def check(
    args: MegatronArgs,
    world_size: int,
    *,
    gpus_per_node: int | None = None,
    release: str = "0.19",
    te: tuple[int, ...] | None = None,
) -> list[Violation]:
    """Everything that keeps this job from running on `world_size` ranks; empty if nothing does.

    `gpus_per_node` lets fixes speak of nodes, `release` (`0.16`, `0.19.2`) picks among rules that changed, and `te`
    (`(2, 8)`) the rules of Transformer Engine, which are silent without it. Sizes that are missing or no positive
    numbers are reported alone, since all else would follow from them.
    """
    wrong_sizes = list(sizes(args, world_size))
    if wrong_sizes:
        return wrong_sizes
    mapping = parallel(args, world_size)
    case = Case(
        args=args,
        parallel=mapping,
        batch=batch(args, max(1, mapping.dp)),
        release=tuple(int(part) for part in release.split(".")[:2]),
        gpus_per_node=gpus_per_node,
        te=te,
    )
    return [violation for rule in RULES for violation in rule(case)]
