"""The shard of one micro-batch that a rank has: its tokens, their bytes, and its parts of a tensor."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from harness.arch.precision import Precision
from harness.cost.implementation import TRANSFORMER_ENGINE, Implementation
from harness.cost.training import Training

SAVED_INPUT_BYTES: Mapping[Precision, float] = MappingProxyType(
    {
        Precision.FP32: 4,
        Precision.FP16: 2,
        Precision.BF16: 2,
        Precision.FP8_DELAYED: 1,
        Precision.FP8_TENSORWISE: 1,
        Precision.FP8_BLOCKWISE: 1 + 4 / 128,
        Precision.MXFP8: 1 + 1 / 32,
        Precision.NVFP4: 0.5 + 1 / 16,
    }
)
"""Bytes of one saved element of a GEMM's input with its scales."""


class MicrobatchShard(NamedTuple):
    """How one micro-batch is split for a rank: what the bytes of a layer depend on beside the layer itself."""

    tokens: int
    own_tokens: int
    expert_share: float
    tp: int
    etp: int
    precision: Precision
    recomputed: frozenset[str]
    offloaded: frozenset[str]
    rows: int
    implementation: Implementation

    @property
    def element(self) -> int:
        """Bytes of an element between GEMMs."""
        return self.precision.element_bytes

    @property
    def saved_input(self) -> float:
        """Bytes of a saved element of a GEMM's input."""
        return SAVED_INPUT_BYTES[self.precision]

    def norm(self, width: int) -> float:
        """Bytes of one token that a norm over `width` saves, its input or what stands for it, and the row's scale."""
        return width * (self.implementation.norm_bytes or self.element) + 4

    def expert_tokens(self, top_k: int) -> float:
        """Token copies that the experts of the rank compute on: e."""
        return self.own_tokens * top_k * self.etp * self.expert_share


def microbatch_shard(job: Training, implementation: Implementation = TRANSFORMER_ENGINE) -> MicrobatchShard:
    """The shard of a job's micro-batches on one rank; a capacity factor caps the load of the fullest rank."""
    tokens, tp = job.tokens_per_rank, job.parallel.tp
    share = job.imbalance if job.capacity_factor is None else min(job.imbalance, job.capacity_factor)
    return MicrobatchShard(
        tokens=tokens,
        own_tokens=tokens // tp if job.sequence_parallel else tokens,
        expert_share=share,
        tp=tp,
        etp=job.parallel.etp,
        precision=job.precision,
        recomputed=job.recompute.modules if job.recompute.granularity == "selective" else frozenset(),
        offloaded=job.offloaded_activations,
        rows=job.batch.seq_len // job.parallel.cp,
        implementation=implementation,
    )
