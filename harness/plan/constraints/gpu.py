"""What a GPU cannot do, whatever the flags say: number formats, and the dispatchers' kernels."""

from collections.abc import Iterator

from harness.arch.precision import Precision
from harness.config.releases import Release
from harness.plan.constraints.fp8 import FP4, RECIPE
from harness.plan.violation import Case, Violation, needs_te, refused

MXFP8_ARCHITECTURES = ("Blackwell", "CDNA4")
BLOCKWISE_TE = {"Hopper": Release(2, 3), "Blackwell": Release(2, 9)}  # TE release notes 2.3 and 2.9; CUDA 12.9 besides
WANTED_BY_BACKEND = "Hopper, Blackwell"


def number_formats(case: Case) -> Iterator[Violation]:
    """Tensor cores that know the format (Transformer Engine's support matrix)."""
    gpu, recipe = case.gpu, case.fp8_recipe
    if gpu is None:
        return
    if recipe is not None and gpu.peak(Precision.FP8_DELAYED) is None:
        yield refused("gpu", f"fp8 on {gpu.name} ({gpu.architecture})", "bf16", "PR=bf16", "PR", "--fp8-format")
    elif recipe == "mxfp8" and gpu.architecture not in MXFP8_ARCHITECTURES:
        found, allowed = f"mxfp8 on {gpu.name} ({gpu.architecture})", ", ".join(MXFP8_ARCHITECTURES)
        yield refused("gpu", found, allowed, "PR=fp8, or PR=bf16", "PR", RECIPE)
    elif recipe == "blockwise":
        yield from _blockwise(case, gpu.architecture)
    if FP4 in case.args and gpu.architecture != "Blackwell":
        yield refused("gpu", f"nvfp4 on {gpu.name} ({gpu.architecture})", "Blackwell", "PR=bf16", "PR", FP4)


def _blockwise(case: Case, architecture: str) -> Iterator[Violation]:
    least = BLOCKWISE_TE.get(architecture)
    if least is None:
        fix = "--fp8-recipe delayed, or PR=bf16"
        yield refused("gpu", f"blockwise fp8 on {architecture}", ", ".join(BLOCKWISE_TE), fix, "PR", RECIPE)
    elif case.older_te(least):
        yield needs_te("gpu", f"blockwise fp8 on {architecture}", least, "TE_VERSION", "PR", RECIPE)


def dispatcher(case: Case) -> Iterator[Violation]:
    """DeepEP reaches Ampere inside a node only (its README); HybridEP moves tokens by TMA, which Hopper began."""
    gpu, backend, ranks = case.gpu, case.flex_backend, case.parallel.ep * case.parallel.etp
    if gpu is None or not case.experts or backend is None or gpu.architecture != "Ampere":
        return
    within = case.gpus_per_node is None or ranks <= case.gpus_per_node
    if backend == "deepep" and within:
        return
    found = f"{backend} on {gpu.name} (Ampere)" + ("" if within else f", its {ranks} ranks on several nodes")
    fix = "MOE_TOKEN_DISPATCHER=alltoall"
    yield refused("gpu", found, WANTED_BY_BACKEND, fix, "MOE_TOKEN_DISPATCHER", "--moe-flex-dispatcher-backend")
