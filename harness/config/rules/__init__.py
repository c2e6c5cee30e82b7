"""The rules, in the order in which they apply. Each is a small function that yields directives; see `draft.py`."""

from collections.abc import Callable, Iterable

from harness.config.directives import Directive
from harness.config.draft import Draft
from harness.config.rules import (
    checkpoint,
    container,
    data,
    engine,
    mapping,
    model,
    moe,
    precision,
    profiling,
    schedule,
    template,
    tracking,
)

type Rule = Callable[[Draft], Iterable[Directive]]

BEFORE_FLAGS: tuple[Rule, ...] = (
    engine.device,
    engine.gpus,
    mapping.no_pipeline,
    mapping.layers_per_virtual_stage,
    mapping.uneven_layers,
)
RULES: tuple[Rule, ...] = (
    engine.transformer_impl,
    engine.cpu_ranks,
    mapping.layout,
    mapping.balanced_stages,
    mapping.virtual_pipeline,
    mapping.uneven_pipeline,
    mapping.sequence_parallel,
    precision.precision,
    precision.optimizer_offload,
    precision.tp_comm_overlap,
    moe.extended_ep,
    moe.dispatcher,
    moe.grouped_gemm,
    moe.permute_fusion,
    moe.moe_layer_freq,
    moe.force_balance,
    moe.group_score,
    moe.a2a_overlap,
    model.yarn,
    model.long_context,
    data.data,
    data.vocabulary,
    checkpoint.load,
    model.missing_q_norm,
    schedule.learning_rate,
    schedule.one_unit,
    checkpoint.save,
    profiling.profile,
    tracking.wandb,
    tracking.tensorboard,
    container.runtime,
    template.placeholders,
)


def apply(rules: Iterable[Rule], draft: Draft) -> None:
    """Apply each rule in turn."""
    for rule in rules:
        name = rule.__name__.replace("_", "-")
        for directive in rule(draft):
            draft.apply(name, directive)
