"""The memory that a rank uses."""

import resource

import torch

_GB = 1e9


def is_cpu_rank() -> bool:
    """Whether this process is a CPU rank, for which `torch.cuda` is answered by the CPU."""
    return isinstance(torch.cuda.current_device(), torch.device)


def memory_gb() -> dict[str, float | str]:
    """What is allocated and reserved at most, in 10^9 bytes, and its `memory_kind`.

    On a CPU rank both are the resident memory of the process.
    """
    if is_cpu_rank():
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _GB  # Linux counts in KiB
        return {"memory_allocated_gb": resident, "memory_reserved_gb": resident, "memory_kind": "resident, peak"}
    return {
        "memory_allocated_gb": torch.cuda.max_memory_allocated() / _GB,
        "memory_reserved_gb": torch.cuda.max_memory_reserved() / _GB,
        "memory_kind": "cuda, peak",
    }
