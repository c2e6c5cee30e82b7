"""What Megatron would say of a resolved configuration, before it is run."""

from harness.config.provenance import Resolved
from harness.cost.hardware import Gpu
from harness.plan.constraints import check
from harness.plan.violation import Violation


def world_size(resolved: Resolved) -> int:
    """Ranks of the whole job."""
    return resolved.integer("NNODES", 1) * resolved.integer("GPUS_PER_NODE", 1)


def violations_of(resolved: Resolved, gpu: Gpu | None = None) -> list[Violation]:
    """What Megatron would refuse of it, on this GPU if it is known."""
    return check(
        resolved.megatron_args,
        world_size(resolved),
        gpus_per_node=resolved.integer("GPUS_PER_NODE", 1),
        release=resolved.release,
        te=resolved.transformer_engine,
        gpu=gpu.name if gpu else None,
        env=resolved.env,
    )
