"""What a layer's time depends on beside the network: how one micro-batch is split, and how its work is done."""

from typing import NamedTuple

from harness.arch.precision import Precision
from harness.config.releases import EMBEDDED_RELEASE, Release
from harness.cost.training import Dispatcher, Graphs, Training

OLDEST_FP8_RELEASE = Release(0, 13)
"""No published run in fp8 is older; how much slower older releases are, nobody has said."""


class LayerShape(NamedTuple):
    """One micro-batch on one rank. `tokens` are those that attention sees: micro-batch · sequence / CP.

    `fp8_age` counts the releases of Megatron-Core between this one and the newest known, which brought fp8 fewer and
    faster kernels; 0 in bf16, which had matured before.
    """

    tokens: int
    seq_len: int
    tp: int
    cp: int
    ep: int
    etp: int
    precision: Precision
    dispatcher: Dispatcher
    recomputed: frozenset[str]
    graphs: Graphs
    expert_load: float
    grouped: bool
    tp_overlap: bool
    static_shapes: bool
    fp8_age: int

    @property
    def own_tokens(self) -> float:
        """Tokens of a rank between the tensor-parallel regions, where sequence parallel splits them."""
        return self.tokens / self.tp

    @property
    def quantised(self) -> bool:
        """Whether GEMM inputs are cast to eight or four bits first."""
        return self.precision.quantised

    @property
    def element_bytes(self) -> int:
        """Bytes of an activation."""
        return self.precision.element_bytes


def layer_shape(job: Training) -> LayerShape:
    """The shape that all layers of a job share; full recompute is left to the pipeline."""
    selective = job.recompute.granularity == "selective"
    load = job.imbalance if job.capacity_factor is None else min(job.imbalance, job.capacity_factor)
    return LayerShape(
        tokens=job.tokens_per_rank,
        seq_len=job.batch.seq_len,
        tp=job.parallel.tp,
        cp=job.parallel.cp,
        ep=job.parallel.ep,
        etp=job.parallel.etp,
        precision=job.precision,
        dispatcher=job.dispatcher,
        recomputed=job.recompute.modules if selective else frozenset(),
        graphs=job.graphs,
        expert_load=load,
        grouped=job.grouped_gemm,
        tp_overlap=job.overlap.tp_comm,
        static_shapes=job.static_shapes or job.graphs.full,
        fp8_age=_fp8_age(job),
    )


def _fp8_age(job: Training) -> int:
    if not job.precision.quantised:
        return 0
    return EMBEDDED_RELEASE.minor - min(EMBEDDED_RELEASE, max(job.release, OLDEST_FP8_RELEASE)).minor
