"""What Megatron would say of a resolved configuration, before it is run."""

from harness.arch.parallel import world_size
from harness.config.provenance import Resolved
from harness.config.releases import load
from harness.cost.hardware import Gpu
from harness.plan.constraints.check import check
from harness.plan.violation import Violation


def violations_of(resolved: Resolved, gpu: Gpu | None = None) -> list[Violation]:
    """What Megatron would refuse of it, on this GPU if it is known."""
    te = tuple(int(part) for part in resolved.text("TE_VERSION").split(".") if part.isdigit())
    return check(
        resolved.megatron_args,
        world_size(resolved),
        gpus_per_node=resolved.integer("GPUS_PER_NODE", 1),
        release=load(resolved.text("MCORE_RELEASE_VERSION")).release,
        te=te or None,
        gpu=gpu.name if gpu else None,
        env=resolved.env,
    )
