"""From resolved Megatron flags to the job that they describe; missing flags have Megatron's defaults (arguments.py)."""

from collections.abc import Hashable
from functools import lru_cache
from math import log2
from typing import Literal

from harness.arch.dispatcher import asked_dispatcher
from harness.arch.model import model_arch
from harness.arch.parallel import batch, parallel
from harness.arch.precision import asked_precision
from harness.arch.stages import pipeline
from harness.config.megatron_args import MegatronArgs
from harness.config.releases import EMBEDDED_RELEASE, Release
from harness.cost.cuda_graphs import cuda_graphs
from harness.cost.recompute_flags import granularity, recomputed_modules
from harness.cost.training import Dispatcher, Graphs, Optimizer, Overlap, Recompute, Training

BYTES_OF_DTYPE = {"fp32": 4, "fp16": 2, "bf16": 2, "fp8": 1}
WHOLE_LAYER = frozenset({"attn", "mlp", "moe"})
"""What CUDA graphs capture unless `--cuda-graph-modules` says otherwise."""


IMBALANCE_PER_DOUBLING = 0.05
"""Load of the fullest rank over the mean, minus one, for each doubling of experts when the router decides: three pairs
of published runs, forced balance against real routing (Qwen3-235B, 335 to 277 and 368 to 320; Mixtral-8x22B, 465 to
445 TFLOP/s/GPU), ask for 0.04 to 0.06."""


def training(
    args: MegatronArgs,
    world_size: int,
    *,
    name: str = "model",
    imbalance: float | None = None,
    release: Release = EMBEDDED_RELEASE,
) -> Training:
    """The job that these flags describe on `world_size` ranks; ConfigError for a network that is not modelled.

    Without a stated `imbalance`, it is 1 under forced balance or a capacity factor, and else grows with the experts.
    """
    mapping = parallel(args, world_size)
    return Training(
        arch=_one(model_arch(args, name)),
        parallel=mapping,
        batch=batch(args, max(1, mapping.dp)),
        pipeline=_one(pipeline(args)),
        precision=asked_precision(args),
        recompute=_recompute(args),
        dispatcher=_dispatcher(args),
        optimizer=_optimizer(args),
        overlap=_overlap(args),
        graphs=_graphs(args, release),
        imbalance=_imbalance(args) if imbalance is None else imbalance,
        capacity_factor=args.number("--moe-expert-capacity-factor") or None,
        sequence_parallel=args.switch("--sequence-parallel") and mapping.tp > 1,
        grouped_gemm=args.switch("--moe-grouped-gemm"),
        permute_fusion=args.switch("--moe-permute-fusion"),
        fused_cross_entropy=args.switch("--cross-entropy-loss-fusion"),
        te_cross_entropy=args.text("--cross-entropy-fusion-impl") == "te",
        static_shapes=args.switch("--moe-paged-stash") or args.switch("--moe-pad-expert-input-to-capacity"),
        offloaded_activations=_offloaded(args),
        release=release,
    )


@lru_cache(maxsize=512)
def _one[T: Hashable](value: T) -> T:
    """One object of all that are equal: caches compare what they are asked, layer by layer unless it is the same."""
    return value


def _imbalance(args: MegatronArgs) -> float:
    experts = args.integer("--num-experts")
    dropped = "--moe-expert-capacity-factor" in args
    if experts < 2 or dropped or args.switch("--moe-router-force-load-balancing"):
        return 1.0
    return 1 + IMBALANCE_PER_DOUBLING * log2(experts)


def _recompute(args: MegatronArgs) -> Recompute:
    kind = granularity(args)
    if kind == "full":
        method: Literal["uniform", "block"] = "block" if args.text("--recompute-method") == "block" else "uniform"
        layers = args.integer("--recompute-num-layers") if method == "block" else None
        return Recompute(granularity="full", method=method, layers=layers)
    if kind == "selective":
        return Recompute(granularity="selective", modules=recomputed_modules(args))
    return Recompute()


def _dispatcher(args: MegatronArgs) -> Dispatcher:
    """The dispatcher as the cost model knows it: another flex backend than HybridEP is taken for DeepEP."""
    asked = asked_dispatcher(args)
    if asked.kind == "flex":
        return "hybridep" if asked.backend == "hybridep" else "deepep"
    return "alltoall" if asked.kind == "alltoall" else "allgather"


def _optimizer(args: MegatronArgs) -> Optimizer:
    aware = args.switch("--use-precision-aware-optimizer")
    half = args.switch("--bf16") or args.switch("--fp16")
    reduced = args.switch("--grad-reduce-in-bf16") or args.switch("--fp16")

    def state(flag: str) -> int:
        return BYTES_OF_DTYPE.get(args.text(flag, "fp32"), 4) if aware else 4

    return Optimizer(
        distributed=args.switch("--use-distributed-optimizer"),
        grad_bytes=2 if reduced else 4,
        main_grad_bytes=state("--main-grads-dtype"),
        main_weight_bytes=state("--main-params-dtype") if half else 0,  # fp32 weights are their own main weights
        exp_avg_bytes=state("--exp-avg-dtype"),
        exp_avg_sq_bytes=state("--exp-avg-sq-dtype"),
        precision_aware=aware,
        offloaded=args.number("--optimizer-offload-fraction", 1.0) if args.switch("--optimizer-cpu-offload") else 0.0,
        fp8_weights=args.switch("--fp8-param-gather"),
    )


def _overlap(args: MegatronArgs) -> Overlap:
    return Overlap(
        grad_reduce=args.switch("--overlap-grad-reduce"),
        param_gather=args.switch("--overlap-param-gather"),
        tp_comm=args.switch("--tp-comm-overlap"),
        expert=args.switch("--overlap-moe-expert-parallel-comm"),
        delay_wgrad=args.switch("--delay-wgrad-compute"),
        shared_experts=args.switch("--moe-shared-expert-overlap"),
    )


def _graphs(args: MegatronArgs, release: Release) -> Graphs:
    captured = cuda_graphs(args, release)
    if not captured.on:
        return Graphs()
    return Graphs(full=captured.implementation == "full_iteration", modules=captured.modules or WHOLE_LAYER)


def _offloaded(args: MegatronArgs) -> frozenset[str]:
    if not args.switch("--fine-grained-activation-offloading"):
        return frozenset()
    return frozenset(args.text("--offload-modules").split())
