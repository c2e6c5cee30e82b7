"""The executors: where a job runs, and who starts its container."""

from typing import Literal

type Executor = Literal["local", "interactive", "slurm"]
"""`local`: the embedded engine on this machine; `interactive`: torchrun on this node, in a container if there is
an image; `slurm`: a batch job."""

type ContainerRuntime = Literal["pyxis", "enroot", "none"]
"""Who starts a Slurm job's container: srun by its plugin pyxis, each rank's task by enroot, or nobody."""
