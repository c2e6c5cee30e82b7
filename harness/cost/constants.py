"""Every constant of the step-time model that no data sheet states, with its meaning; all of them in this one place.

Values are fitted once to the published results (`moe-harness plan score` shows how well they hold, and how well they
hold for a model that was left out of the fit). Each starts from a prior, a value that measurements of single kernels
suggest, and the fit may move it only as far as the results insist; see harness/plan/fit.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any


def _constant(value: float, meaning: str, *, prior: float, spread: float) -> Any:
    """A fitted `value`, and the `prior` it started from with its relative `spread` (one standard deviation)."""
    return field(default=value, metadata={"meaning": meaning, "prior": prior, "spread": spread})


@dataclass(frozen=True, kw_only=True)
class Constants:
    """Efficiencies are shares of a data sheet's rate; times are seconds."""

    gemm_bf16: float = _constant(
        0.915, "Share of the dense bf16 peak that a large GEMM reaches", prior=0.85, spread=0.08
    )
    gemm_fp8: float = _constant(
        0.645, "Share of the dense fp8 peak that a large GEMM reaches, scaled by tensor", prior=0.7, spread=0.12
    )
    gemm_fp8_blockwise: float = _constant(
        0.7, "Share of the dense fp8 peak of a large GEMM scaled by blocks of 128", prior=0.6, spread=0.12
    )
    gemm_mxfp8: float = _constant(
        0.695, "Share of the dense fp8 or fp4 peak of a large GEMM in a microscaling format", prior=0.7, spread=0.12
    )
    gemm_half: float = _constant(
        390, "Size of M, N or K at which a GEMM runs at half of its peak", prior=160.0, spread=0.4
    )
    grouped_gemm: float = _constant(
        0.866, "Rate of a grouped GEMM beside a dense one of an expert's shape", prior=0.85, spread=0.12
    )
    attention_forward: float = _constant(
        0.61, "Share of the bf16 peak that fused attention reaches, forward", prior=0.6, spread=0.15
    )
    attention_backward: float = _constant(
        0.478, "Share of the bf16 peak that fused attention reaches, backward", prior=0.45, spread=0.15
    )
    hbm: float = _constant(0.754, "Share of the HBM bandwidth that element-wise kernels reach", prior=0.7, spread=0.2)
    nvlink: float = _constant(0.921, "Share of the NVLink bandwidth that collectives reach", prior=0.7, spread=0.2)
    nic: float = _constant(0.826, "Share of the NIC bandwidth that collectives reach", prior=0.75, spread=0.2)
    nic_all_to_all: float = _constant(
        0.771, "Share of the NIC bandwidth that NCCL's all-to-all of tokens reaches", prior=0.6, spread=0.25
    )
    host_layer_s: float = _constant(
        0.00137,
        "Time the host needs to launch an MoE layer's kernels, forward, without CUDA graphs",
        prior=0.002,
        spread=0.4,
    )
    host_expert_s: float = _constant(
        1.96e-05, "Time the host needs to launch the GEMMs of one more local expert, forward", prior=1.5e-05, spread=0.5
    )
    host_grace: float = _constant(
        1.66, "Time of the same launches on a Grace CPU beside an x86 server", prior=1.3, spread=0.15
    )
    host_step_s: float = _constant(
        0.0102,
        "Launches of a step outside of its micro-batches for each layer of a rank: norms, optimizer, hooks",
        prior=4e-3,
        spread=0.3,
    )
    host_aging: float = _constant(
        0.249,
        "Growth of launch times for each release that Megatron-Core is older than the newest",
        prior=0.1,
        spread=0.8,
    )
    kernel_aging: float = _constant(
        0.0783, "Growth of element-wise kernels' time for each release, as fusions are missing", prior=0.05, spread=0.8
    )
    dispatch_s: float = _constant(
        8.4e-05,
        "Latency of one dispatch or combine: notifying, and waiting for the slowest rank",
        prior=8e-05,
        spread=0.5,
    )
    sync_s: float = _constant(
        0.000178,
        "Idle time of the device in a layer whose host must first learn how many tokens each expert got",
        prior=0.0002,
        spread=0.6,
    )
    hidden_expert: float = _constant(0.669, "Share of the all-to-all that A2A_OVERLAP hides", prior=0.8, spread=0.15)
    jitter: float = _constant(
        0.00729, "Share of a step lost to the slowest rank for each doubling of the nodes", prior=0.01, spread=0.7
    )

    def with_values(self, values: Mapping[str, float]) -> "Constants":
        """These constants, some of them replaced."""
        return replace(self, **values)


FITTED = Constants()


def priors() -> Constants:
    """The constants before any fit."""
    return Constants(**{item.name: item.metadata["prior"] for item in fields(Constants)})
