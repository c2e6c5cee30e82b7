"""A training job as its cost sees it: the network, its spread, and what is fused, recomputed or overlapped."""

from dataclasses import dataclass, field
from typing import Literal

from harness.arch.model import ModelArch
from harness.arch.parallel import Batch, Parallel
from harness.arch.precision import Precision
from harness.arch.stages import Pipeline
from harness.config.releases import EMBEDDED_RELEASE, Release

type Dispatcher = Literal["allgather", "alltoall", "deepep", "hybridep"]
type Granularity = Literal["none", "selective", "full"]


@dataclass(frozen=True, kw_only=True)
class Recompute:
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


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Adam's states: bytes of one parameter's main gradient, main weight and moments.

    `distributed` shards states over data-parallel ranks; `offloaded` is the share of states kept in host memory;
    `fp8_weights` says that weights are kept in fp8 (`--fp8-param-gather`).
    """

    distributed: bool = False
    grad_bytes: int = 4
    main_grad_bytes: int = 4
    main_weight_bytes: int = 4
    exp_avg_bytes: int = 4
    exp_avg_sq_bytes: int = 4
    precision_aware: bool = False
    offloaded: float = 0.0
    fp8_weights: bool = False


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Communication that runs beside computation."""

    grad_reduce: bool = False
    param_gather: bool = False
    tp_comm: bool = False
    expert: bool = False
    delay_wgrad: bool = False
    shared_experts: bool = False


@dataclass(frozen=True, kw_only=True)
class Graphs:
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
    precision: Precision = Precision.BF16
    recompute: Recompute = Recompute()
    dispatcher: Dispatcher = "alltoall"
    optimizer: Optimizer = Optimizer()
    overlap: Overlap = Overlap()
    graphs: Graphs = Graphs()
    imbalance: float = 1.0
    capacity_factor: float | None = None
    sequence_parallel: bool = False
    grouped_gemm: bool = False
    permute_fusion: bool = False
    fused_cross_entropy: bool = False
    te_cross_entropy: bool = False
    static_shapes: bool = False
    offloaded_activations: frozenset[str] = field(default_factory=frozenset)
    release: Release = EMBEDDED_RELEASE

    @property
    def microbatches(self) -> int:
        """Micro-batches of one replica in a step."""
        return max(1, self.batch.global_ // (self.batch.micro * self.parallel.dp))

    @property
    def tokens_per_rank(self) -> int:
        """Tokens of a micro-batch that attention sees on a rank with TP=1: micro-batch · sequence / CP."""
        return self.batch.micro * self.batch.seq_len // self.parallel.cp
