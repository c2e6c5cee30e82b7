"""The variables of a job's environment that a user may set by `NAME=VALUE`, beside those that files declare."""

from collections.abc import Iterable

OVERLAP_VARIABLES = (
    "CUDA_DEVICE_MAX_CONNECTIONS",
    "NVTE_FWD_LAYERNORM_SM_MARGIN",
    "NVTE_BWD_LAYERNORM_SM_MARGIN",
)
"""What the rule `a2a-overlap` sets unless the user does."""

_LIBRARIES = ("NCCL_", "NVTE_", "CUDA_", "CUDNN_", "CUBLAS_", "TORCH_", "PYTORCH_", "UCX_", "OMP_", "GLOO_")
"""How variables of the libraries in a job begin; settings and flags cover everything else."""


def declared_names(typed: Iterable[str], in_files: Iterable[str]) -> set[str]:
    """The variables that count: those of rules and of files, and of the typed names those of libraries."""
    return {*OVERLAP_VARIABLES, *in_files, *(name for name in typed if name.startswith(_LIBRARIES))}
