"""The resources and the container that settings ask for; `job_problems` has found nothing wrong with them before."""

from collections.abc import Sequence

from harness.config.provenance import Resolved
from harness.launch.executor import Executor
from harness.launch.job import Container, Resources
from harness.launch.job_problems import container_runtime
from harness.launch.mounts import parse_mounts
from harness.launch.slurm.sbatch_args import split_sbatch_args, split_srun_args
from harness.launch.slurm.time_limit import parse_time_limit_s

_FOR_WHOLE_NODES = ("--exclusive", "--gpus", "--gres", "--mem")
"""Options that a cluster's SBATCH_ARGS may set for its benchmarks, which a job on a part of a node does not need."""


def whole_nodes(resolved: Resolved, slurm_options: Sequence[str] = ()) -> Resources:
    """NNODES nodes of GPUS_PER_NODE ranks each, which nobody else uses; `slurm_options` are further ones of sbatch."""
    return Resources(
        nodes=resolved.integer("NNODES", 1),
        ranks_per_node=resolved.integer("GPUS_PER_NODE", 1),
        device="cpu" if resolved.text("DEVICE") == "cpu" else "gpu",
        time_limit_s=parse_time_limit_s(resolved.text("RUN_TIME")),
        account=resolved.text("ACCOUNT") or None,
        partition=resolved.text("PARTITION") or None,
        sbatch_args=(*split_sbatch_args(resolved.text("SBATCH_ARGS")), *slurm_options),
        srun_args=split_srun_args(resolved.text("SRUN_ARGS")),
    )


def part_of_a_node(resolved: Resolved, *, cpus: int, memory: str, time_limit_s: int | None) -> Resources:
    """One rank with so many cores and so much memory of one node, and no GPU."""
    return Resources(
        nodes=1,
        ranks_per_node=1,
        device="cpu",
        time_limit_s=time_limit_s,
        account=resolved.text("ACCOUNT") or None,
        partition=resolved.text("PARTITION") or None,
        cpus_per_rank=cpus,
        memory=memory,
        sbatch_args=tuple(
            option
            for option in split_sbatch_args(resolved.text("SBATCH_ARGS"))
            if not option.startswith(_FOR_WHOLE_NODES)
        ),
        srun_args=split_srun_args(resolved.text("SRUN_ARGS")),
    )


def container_of(resolved: Resolved, executor: Executor) -> Container | None:
    """The container that the settings name; None where ranks run on the bare host."""
    runtime, image = container_runtime(resolved), resolved.text("CONTAINER_IMAGE")
    if executor == "local" or runtime == "none" or not image:
        return None
    return Container(image=image, runtime=runtime, mounts=parse_mounts(resolved.text("CONTAINER_MOUNTS")))
