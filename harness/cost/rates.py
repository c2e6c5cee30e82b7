"""How fast one GPU computes, moves and launches: data sheet times efficiency."""

from dataclasses import dataclass
from functools import lru_cache

from harness.arch.precision import Precision
from harness.cost.constants import Constants
from harness.cost.hardware import Gpu
from harness.errors import ConfigError


@dataclass(frozen=True, kw_only=True, eq=False)
class Rates:
    """Operations, bytes and seconds as they come out in practice.

    `gemm_flops_per_s` is that of a large GEMM in the job's precision; attention and logits stay in bf16.
    Bandwidths of links are one way, per GPU. Compared by identity, so that caches find them fast.
    """

    gemm_flops_per_s: float
    bf16_flops_per_s: float
    attention_forward_flops_per_s: float
    attention_backward_flops_per_s: float
    hbm_bytes_per_s: float
    nvlink_domain: int
    nvlink_bytes_per_s: float
    nic_bytes_per_s: float
    all_to_all_nic_bytes_per_s: float
    host_factor: float
    constants: Constants


@lru_cache(maxsize=64)
def rates(gpu: Gpu, precision: Precision, constants: Constants) -> Rates:
    """The rates of `gpu`; ConfigError for a precision that it does not have.

    Clocks under load follow the board's power (`Gpu.sustained`), and with them all that multiprocessors do: products,
    attention, and element-wise kernels, which casts and permutations keep from the memory's own limit.
    """
    bf16, peak = gpu.peak(Precision.BF16), gpu.peak(precision)
    if bf16 is None or peak is None:
        has = ", ".join(sorted(gpu.peak_flops))
        raise ConfigError(f"{gpu.name} has no {precision.number_format} (for {precision}); it has {has}")
    return Rates(
        gemm_flops_per_s=peak * gpu.sustained * _gemm_efficiency(precision, constants),
        bf16_flops_per_s=bf16 * gpu.sustained * constants.gemm_bf16,
        attention_forward_flops_per_s=bf16 * gpu.sustained * constants.attention_forward,
        attention_backward_flops_per_s=bf16 * gpu.sustained * constants.attention_backward,
        hbm_bytes_per_s=gpu.hbm_bytes_per_s * gpu.sustained * constants.hbm,
        nvlink_domain=gpu.nvlink_domain,
        nvlink_bytes_per_s=gpu.nvlink_bytes_per_s * constants.nvlink,
        nic_bytes_per_s=gpu.nic_bytes_per_s * constants.nic,
        all_to_all_nic_bytes_per_s=gpu.nic_bytes_per_s * constants.nic_all_to_all,
        host_factor=constants.host_grace if gpu.name in ("GB200", "GB300") else 1.0,
        constants=constants,
    )


def _gemm_efficiency(precision: Precision, constants: Constants) -> float:
    if not precision.quantised:
        return constants.gemm_bf16
    if precision is Precision.FP8_BLOCKWISE:
        return constants.gemm_fp8_blockwise
    return constants.gemm_mxfp8 if precision in (Precision.MXFP8, Precision.NVFP4) else constants.gemm_fp8
