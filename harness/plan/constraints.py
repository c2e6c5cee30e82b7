"""Can Megatron run this? Its own rules, as far as they can be known before a job starts; all of them at once."""

from collections.abc import Mapping

from harness.arch.parallel import batch, parallel
from harness.config.megatron_args import MegatronArgs
from harness.cost.hardware import find_gpu
from harness.plan import (
    batch_rules,
    communication_rules,
    dispatcher_rules,
    engine_rules,
    fp8_rules,
    fsdp_rules,
    fusion_rules,
    gpu_rules,
    graph_recompute_rules,
    graph_rules,
    grid_rules,
    offload_rules,
    optimizer_rules,
    overlap_rules,
    pipeline_rules,
    precision_rules,
    recompute_rules,
    routing_rules,
    schedule_rules,
    shape_rules,
)
from harness.plan.size_rules import sizes
from harness.plan.violation import Case, Violation

RULES = (
    shape_rules.attention,
    shape_rules.experts,
    grid_rules.world_size,
    grid_rules.expert_parallel,
    grid_rules.attention_heads,
    grid_rules.tensor_widths,
    pipeline_rules.pipeline_flags,
    pipeline_rules.pipeline_layers,
    pipeline_rules.mtp_layout,
    batch_rules.global_batch,
    batch_rules.evaluation_batch,
    batch_rules.interleaving,
    batch_rules.sequence_length,
    batch_rules.mtp_positions,
    batch_rules.mtp_context_parallel,
    routing_rules.layer_pattern,
    routing_rules.top_k,
    routing_rules.groups,
    routing_rules.balancing,
    routing_rules.expert_bias,
    routing_rules.linear_bias,
    routing_rules.sequence_parallel,
    dispatcher_rules.dispatcher,
    dispatcher_rules.shared_overlap,
    dispatcher_rules.capacity,
    dispatcher_rules.rank_capacity,
    communication_rules.tensor_parallel,
    communication_rules.context_parallel,
    communication_rules.deferred_embedding,
    overlap_rules.expert_overlap,
    overlap_rules.delayed_wgrad,
    overlap_rules.captured_wgrad,
    overlap_rules.dispatch_overlap,
    recompute_rules.granularity,
    recompute_rules.modules,
    recompute_rules.distributed,
    graph_rules.words,
    graph_rules.iterations,
    graph_rules.modules,
    graph_rules.inference_padding,
    graph_rules.environment,
    graph_recompute_rules.graphs_and_recompute,
    offload_rules.layers,
    offload_rules.modules,
    offload_rules.beside_graphs,
    fsdp_rules.megatron_fsdp,
    fsdp_rules.torch_fsdp2,
    fsdp_rules.checkpoint_formats,
    fsdp_rules.connections,
    optimizer_rules.overlap,
    optimizer_rules.precision_aware,
    optimizer_rules.gradients,
    optimizer_rules.offload,
    precision_rules.grouped_gemm,
    precision_rules.fp16_experts,
    precision_rules.quantization_padding,
    fp8_rules.formats,
    fp8_rules.parameters,
    fp8_rules.edges,
    fp8_rules.output_projection,
    fp8_rules.custom,
    fp8_rules.transformer_engine,
    gpu_rules.number_formats,
    gpu_rules.dispatcher,
    fusion_rules.rotary,
    fusion_rules.activation,
    fusion_rules.permutation,
    fusion_rules.cross_entropy,
    fusion_rules.projections,
    fusion_rules.attention_logits,
    schedule_rules.units,
    schedule_rules.learning_rate,
    schedule_rules.weight_decay,
    engine_rules.fp8,
)


def check(
    args: MegatronArgs,
    world_size: int,
    *,
    gpus_per_node: int | None = None,
    release: str = "0.19",
    te: tuple[int, ...] | None = None,
    gpu: str | None = None,
    env: Mapping[str, str] | None = None,
) -> list[Violation]:
    """Everything that keeps this job from running on `world_size` ranks; empty if nothing does.

    `gpus_per_node` lets fixes speak of nodes, `release` (`0.16`, `0.19.2`) picks among rules that changed, and `te`
    (`(2, 8)`) the rules of Transformer Engine. `gpu` is a name that `find_gpu` knows, `env` the job's environment. The
    rules of what is not given, or of a GPU that is not known, are silent. Sizes that are missing or no positive numbers
    are reported alone, since all else would follow from them.
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
        gpu=find_gpu(gpu) if gpu else None,
        env=env,
    )
    return [violation for rule in RULES for violation in rule(case)]
