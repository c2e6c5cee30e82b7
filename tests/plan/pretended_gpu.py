"""What Megatron's validation asks of a machine: a GPU, a Transformer Engine and its kernels. It only looks at them."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

import torch
from megatron.core import utils
from megatron.core.models.common.embeddings import rope_utils
from megatron.core.transformer.moe import moe_utils
from packaging.version import Version

PERMUTATION = (2, 1)
PERMUTATION_KERNELS = (
    "fused_permute",
    "fused_permute_with_probs",
    "fused_sort_chunks_by_index",
    "fused_sort_chunks_by_index_with_probs",
    "fused_unpermute",
)
COMPUTE_CAPABILITY = {"A100-80GB": 8, "H100": 9, "B200": 10}
READ_BY_VALIDATION = (
    "CUDA_DEVICE_MAX_CONNECTIONS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "NCCL_GRAPH_REGISTER",
    "NVTE_CPU_OFFLOAD_V1",
)


class FusedAdam:
    """The optimizer of Transformer Engine, as far as its signature is read."""

    def __init__(
        self, master_weight_dtype: object, exp_avg_dtype: object, exp_avg_sq_dtype: object, use_decoupled_grad: bool
    ) -> None:
        raise NotImplementedError


@contextmanager
def pretended_gpu(gpu: str, te: tuple[int, ...], env: Mapping[str, str]) -> Iterator[None]:
    """A GPU of this generation, with Transformer Engine `te`, in this environment."""
    major = COMPUTE_CAPABILITY[gpu]
    kernel = object() if te >= PERMUTATION else None
    properties = SimpleNamespace(major=major, minor=0)
    stand_ins = [
        patch.object(torch.cuda, "get_device_properties", lambda *_: properties),
        patch.object(torch.cuda, "get_device_capability", lambda *_: (major, 0)),
        patch.object(torch.cuda, "current_device", lambda: "cpu"),
        patch.object(torch, "zeros", lambda *size, device=None, zeros=torch.zeros, **options: zeros(*size, **options)),
        patch.object(sys, "excepthook", sys.excepthook),  # a process group leaves its own behind
        patch.object(utils, "_te_version", Version(".".join(map(str, te)))),
        patch.object(rope_utils, "fused_apply_rotary_pos_emb", object()),
        patch.dict(sys.modules, _transformer_engine()),
        *(patch.object(moe_utils, name, kernel) for name in PERMUTATION_KERNELS),
        patch.dict(os.environ, env),
    ]
    with ExitStack() as stack:
        for stand_in in stand_ins:
            stack.enter_context(stand_in)
        for name in set(READ_BY_VALIDATION) - set(env):
            os.environ.pop(name, None)
        yield


def _transformer_engine() -> dict[str, ModuleType]:
    names = ("transformer_engine", "transformer_engine.pytorch", "transformer_engine.pytorch.optimizers")
    modules = {name: ModuleType(name) for name in names}
    modules[names[-1]].FusedAdam = FusedAdam  # type: ignore[attr-defined]
    return modules
