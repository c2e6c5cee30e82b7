"""A training job as its cost sees it: the network, its spread, and what is fused, recomputed or overlapped."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from harness.arch.model import ModelArch
from harness.arch.parallel import Batch, Parallel
from harness.arch.precision import Precision
from harness.arch.stages import Pipeline
from harness.config.releases import Release

type Dispatcher = Literal["allgather", "alltoall", "deepep", "hybridep"]
type Granularity = Literal["none", "selective", "full"]


class Recompute(NamedTuple):
    """Activations that are computed again in the backward pass.

    `modules` counts for `selective`; `layers` (of a virtual stage) and `method` for `full`. None: all layers.
    """

    granularity: Granularity = "none"
    modules: frozenset[str] = frozenset()
    method: Literal["uniform", "block"] = "uniform"
    layers: int | None = None

    def of(self, module: str) -> bool:
        """Whether `module` (core_attn, moe_act, layernorm, mla_up_proj, mlp, moe, shared_experts) is recomputed."""
        return self.granularity == "selective" and module in self.modules


class Optimizer(NamedTuple):
    """Adam's states: bytes of one parameter's main gradient, main weight and moments.

    `distributed` shards states over data-parallel ranks; `offloaded` is the share of states kept in host memory;
    `fp8_weights` says that weights are kept in fp8 (`--fp8-param-gather`).
    """

    distributed: bool
    grad_bytes: int
    main_grad_bytes: int
    main_weight_bytes: int
    exp_avg_bytes: int
    exp_avg_sq_bytes: int
    precision_aware: bool
    offloaded: float
    fp8_weights: bool


class Overlap(NamedTuple):
    """Communication that runs beside computation."""

    grad_reduce: bool
    param_gather: bool
    tp_comm: bool
    expert: bool
    delay_wgrad: bool
    shared_experts: bool


class Graphs(NamedTuple):
    """CUDA graphs: `full` captures the whole iteration, `modules` parts of a layer (attn, mlp, moe, moe_router, …)."""

    full: bool = False
    modules: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Training:
    """One job. `imbalance` is the load of the fullest expert-parallel rank over the mean; 1 with forced balance.

    `capacity_factor` drops tokens beyond it; `static_shapes` says that the host need not know how many tokens an expert
    got. `offloaded_activations` names modules whose inputs wait in host memory. `release` is Megatron-Core's.
    """

    arch: ModelArch
    parallel: Parallel
    batch: Batch
    pipeline: Pipeline
    precision: Precision
    recompute: Recompute
    dispatcher: Dispatcher
    optimizer: Optimizer
    overlap: Overlap
    graphs: Graphs
    imbalance: float
    capacity_factor: float | None
    sequence_parallel: bool
    grouped_gemm: bool
    permute_fusion: bool
    fused_cross_entropy: bool
    te_cross_entropy: bool
    static_shapes: bool
    offloaded_activations: frozenset[str]
    release: Release

    @property
    def microbatches(self) -> int:
        """Micro-batches of one replica in a step."""
        return max(1, self.batch.global_ // (self.batch.micro * self.parallel.dp))

    @property
    def tokens_per_rank(self) -> int:
        """Tokens of a micro-batch that attention sees on a rank with TP=1: micro-batch · sequence / CP."""
        return self.batch.micro * self.batch.seq_len // self.parallel.cp
