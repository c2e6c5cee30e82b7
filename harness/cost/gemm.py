"""Time of matrix multiplications by shape."""

from harness.cost.rates import Rates


def gemm_s(m: float, n: float, k: float, rates: Rates, *, experts: int = 0, bf16: bool = False) -> float:
    """One (M, K)·(K, N) product; with `experts`, that many of them as a grouped GEMM of M rows each.

    A GEMM loses to partly filled tiles in each dimension: d / (d + half). It is never faster than its operands
    stream from memory.
    """
    if m <= 0:
        return 0.0
    half = rates.constants.gemm_half
    efficiency = m / (m + half) * n / (n + half) * k / (k + half)
    rate = rates.bf16_flops_per_s if bf16 else rates.gemm_flops_per_s
    count = max(1, experts)
    grouped = rates.constants.grouped_gemm if experts else 1.0
    compute_s = 2 * m * n * k * count / (rate * efficiency * grouped)
    moved_bytes = 2 * count * (m * k + k * n + m * n)
    return max(compute_s, moved_bytes / rates.hbm_bytes_per_s)
