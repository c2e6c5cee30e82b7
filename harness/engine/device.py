"""CPU ranks for Megatron-Core, which asks for CUDA everywhere: what is meant for the GPU lands on the CPU."""

import logging
import os
import sys
from typing import Any

from harness.errors import EnvironmentProblem

_READS_CUDA_AT_IMPORT = "megatron.core.tensor_parallel.random"


def install_cpu_ranks() -> None:
    """Make this process a CPU rank. Call it once, before Megatron is imported; it cannot be undone.

    EnvironmentProblem where a GPU is present.
    """
    import torch

    if torch.cuda.is_available():
        raise EnvironmentProblem(
            "install_cpu_ranks: CUDA is present, and CPU ranks would leave it idle; run on the GPU, "
            "or hide it with CUDA_VISIBLE_DEVICES= (empty)"
        )
    if _READS_CUDA_AT_IMPORT in sys.modules:
        raise EnvironmentProblem(
            f"install_cpu_ranks: {_READS_CUDA_AT_IMPORT} is imported already and holds CUDA's own functions; "
            "install CPU ranks before importing Megatron"
        )
    _switch_compilers_off(torch)
    # It warns at each use of the GPU's generator that the CPU's changed; here they are one.
    logging.getLogger(_READS_CUDA_AT_IMPORT).setLevel(logging.ERROR)

    from harness.engine import cpu_collectives, cpu_cuda, cpu_optimizers, cpu_tensors

    cpu_cuda.install()
    cpu_tensors.install()
    cpu_collectives.install()
    cpu_optimizers.install()


def _switch_compilers_off(torch: Any) -> None:
    """Replace dynamo: it asks for a CUDA driver, and importing it costs every rank a second."""
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    torch.compile = _uncompiled


def _uncompiled(model: Any = None, **_options: Any) -> Any:
    """Stand in for `torch.compile`, plain or as a decorator with options: the function as it is."""
    return model if model is not None else _uncompiled
