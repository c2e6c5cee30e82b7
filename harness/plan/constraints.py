"""Can Megatron run this? Its own rules, as far as they can be known before a job starts; all of them at once."""

from harness.config.megatron_args import MegatronArgs
from harness.plan import batch_rules, engine_rules, grid_rules, pipeline_rules, routing_rules
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
    batch_rules.global_batch,
    batch_rules.interleaving,
    batch_rules.sequence_length,
    batch_rules.mtp_positions,
    routing_rules.layer_pattern,
    routing_rules.top_k,
    routing_rules.groups,
    routing_rules.expert_bias,
    routing_rules.linear_bias,
    routing_rules.sequence_parallel,
    routing_rules.dispatcher,
    engine_rules.fp8,
)


def check(
    args: MegatronArgs, world_size: int, *, gpus_per_node: int | None = None, release: str = "0.19"
) -> list[Violation]:
    """Everything that keeps this job from running on `world_size` ranks; empty if nothing does.

    `gpus_per_node` lets fixes speak of nodes, `release` (`0.16`, `0.19.2`) picks among rules that changed. Sizes that
    are missing or no positive numbers are reported alone, since all else would follow from them.
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
    )
    return [violation for rule in RULES for violation in rule(case)]
