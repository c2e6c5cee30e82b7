"""What Megatron would say of a resolved configuration, before it is run."""

from harness.arch.parallel import world_size
from harness.config.provenance import Resolved
from harness.cost.hardware import Gpu
from harness.plan.constraints.check import check
from harness.plan.violation import Violation


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
