"""The memory that a rank uses."""

import resource
from typing import TypedDict

import torch

_GB = 1e9


class RankMemory(TypedDict):
    """The most memory that was in use so far, in 10^9 bytes, and of which kind."""

    memory_allocated_gb: float
    memory_reserved_gb: float | None
    memory_kind: str


def is_cpu_rank() -> bool:
    """Whether this process is a CPU rank, for which `torch.cuda` is answered by the CPU."""
    return isinstance(torch.cuda.current_device(), torch.device)


def rank_memory() -> RankMemory:
    """What tensors take of the GPU, and what torch holds of it; the resident memory of a CPU rank's process."""
    if is_cpu_rank():
        resident_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
        return {
            "memory_allocated_gb": resident_bytes / _GB,
            "memory_reserved_gb": None,
            "memory_kind": "resident, peak",
        }
    return {
        "memory_allocated_gb": torch.cuda.max_memory_allocated() / _GB,
        "memory_reserved_gb": torch.cuda.max_memory_reserved() / _GB,
        "memory_kind": "CUDA, peak",
    }
