"""Where a job runs."""

from typing import Literal

type Place = Literal["local", "interactive", "slurm"]
"""`local`: the embedded engine on this machine; `interactive`: torchrun on this node, in a container if there is
an image; `slurm`: a batch job."""
