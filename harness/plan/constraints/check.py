"""Can Megatron run this? Its own constraints, as far as they can be known before a job starts; all at once."""

from collections.abc import Mapping

from harness.arch.parallel import batch, parallel
from harness.config.megatron_args import MegatronArgs
from harness.config.releases import EMBEDDED_RELEASE, Release
from harness.plan.constraints import CONSTRAINTS
from harness.plan.constraints.sizes import sizes
from harness.plan.violation import Case, Violation


def check(
    args: MegatronArgs,
    world_size: int,
    *,
    gpus_per_node: int | None = None,
    release: Release = EMBEDDED_RELEASE,
    te: Release | None = None,
    gpu: str | None = None,
    env: Mapping[str, str] | None = None,
) -> list[Violation]:
    """Everything that keeps this job from running on `world_size` ranks; empty if nothing does.

    `gpus_per_node` lets fixes speak of nodes, `release` picks among constraints that changed, and `te` those of
    Transformer Engine's release. `gpu` is a name that `find_gpu` knows, `env` the job's environment. What is not given,
    and a GPU that is not known, break no constraint. Sizes that are missing or no positive numbers are reported alone,
    since all else would follow from them.
    """
    wrong_sizes = list(sizes(args, world_size))
    if wrong_sizes:
        return wrong_sizes
    machine = None
    if gpu:
        from harness.cost.hardware import find_gpu  # a launch that names no GPU starts faster without the cost model

        machine = find_gpu(gpu)
    mapping = parallel(args, world_size)
    case = Case(
        args=args,
        parallel=mapping,
        batch=batch(args, max(1, mapping.dp)),
        release=release,
        gpus_per_node=gpus_per_node,
        te=te,
        gpu=machine,
        env=env,
    )
    return [violation for constraint in CONSTRAINTS for violation in constraint(case)]
