"""From a published row to the Megatron job that was measured, as faithfully as can be known."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from harness.arch.parallel import batch, parallel
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.errors import HarnessError, nearest
from harness.plan.published.bases import base_flags, shipped_models
from harness.plan.published.cells import hints, precision, stated, with_cells
from harness.plan.published.facts import COLLECTIONS, Facts, gathered
from harness.plan.published.pipeline_flags import pipeline_flags
from harness.plan.published.rows import PublishedRow
from harness.plan.published.shape import network_flags

type JobFlags = dict[str, ArgValue]

ASSUMED = Facts(
    recipe="bf16",
    pp=1,
    vpp=1,
    mbs=1,
    etp="1",
    dispatcher="alltoall",
    recompute=("none",),
    cuda_graph=("none",),
    a2a_overlap=False,
    routing="balanced",
    optimizer="adam",
    main_grads="fp32",
    moments="fp32",
    grad_reduce="fp32",
    dp_overlap=("grad", "param"),
    router_fusion=False,
    cross_entropy="none",
)
"""What is taken where neither a row nor its source says."""

FP8_FORMAT = {"tensorwise": "hybrid", "delayed": "hybrid", "blockwise": "e4m3", "mxfp8": "e4m3"}


class Unusable(HarnessError):
    """A row that describes no job that can be predicted; the message says why."""


class PublishedJob(NamedTuple):
    """The job of a row: Megatron's flags (0.19's names) on `world_size` ranks of `gpu`.

    `assumed` says in words what neither the row nor its source states.
    """

    row: PublishedRow
    args: MegatronArgs
    world_size: int
    gpu: str
    facts: Facts
    assumed: tuple[str, ...]


def published_job(row: PublishedRow) -> PublishedJob:
    """The job that a row measured. Unusable where the row does not say enough, or what cannot have run."""
    _refuse(row)
    try:
        return _job(row)
    except ValueError as error:  # a number that is none, in prose that states flags; a split that cannot be
        raise Unusable(str(error)) from None


def _job(row: PublishedRow) -> PublishedJob:
    found = known_facts(row)
    if found.fsdp:
        raise Unusable("FSDP: parameters are sharded too, which is not modelled")
    facts, assumed = _completed(found)
    flags: JobFlags = {**base_flags(row.model), **network_flags(row), **_mapping(row, facts)}
    flags |= {**_precision(facts), **_optimizer(facts), **_saving(facts), **_experts(facts), **facts.flags}
    split = pipeline_flags(flags, facts.vpp or 1, facts)
    args = MegatronArgs({flag: value for flag, value in {**flags, **split.flags}.items() if value is not False})
    world_size = row.n_gpus or facts.n_gpus
    if world_size is None:
        raise Unusable("the number of GPUs is not stated")
    _refuse_grids(args, world_size)
    every = (*assumed, *split.assumed)
    return PublishedJob(row=row, args=args, world_size=world_size, gpu=row.gpu, facts=facts, assumed=every)


def known_facts(row: PublishedRow) -> Facts:
    """All that is known of how a row's job ran: what its source says of it, and above that its own words."""
    facts = with_cells(row, Facts(vpp=row.vpp, pp=row.pp), {**precision(row), **hints(row)})
    facts = with_cells(row, gathered(row, facts), stated(row))
    return facts._replace(pp=row.pp or facts.pp, vpp=row.vpp or facts.vpp, mbs=row.mbs or facts.mbs)


def _refuse(row: PublishedRow) -> None:
    if row.problems:
        raise Unusable("; ".join(row.problems))
    if re.search(r"\bLoRA\b", row.remarks):
        raise Unusable("LoRA: trains adapters, not the model")
    unnamed = [name for name in ("model", "gpu") if not getattr(row, name)]
    if unnamed:
        raise Unusable(f"not stated: {', '.join(unnamed)}")
    if row.model not in shipped_models():
        raise Unusable(f"model {row.model}: no configuration ships; {nearest(row.model, shipped_models())}")
    needed = {"tp": row.tp, "ep": row.ep, "gbs": row.gbs, "seq_len": row.seq_len}
    missing = [name for name, value in needed.items() if value is None]
    if missing:
        raise Unusable(f"not stated: {', '.join(missing)}")


def _completed(facts: Facts) -> tuple[Facts, tuple[str, ...]]:
    """Facts without gaps, and in words what filled them and what its source's entry guessed."""
    gaps = {name: value for name, value in _known(ASSUMED).items() if getattr(facts, name) is None}
    guessed = {name: getattr(facts, name) for name in facts.guessed}
    words = (f"{name} {_value_text(value)}" for name, value in {**gaps, **guessed}.items())
    return facts._replace(**gaps), tuple(words)


def _known(facts: Facts) -> dict[str, Any]:
    """What is known and no collection of remarks."""
    return {name: value for name, value in facts._asdict().items() if value is not None and name not in COLLECTIONS}


def _value_text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _mapping(row: PublishedRow, facts: Facts) -> JobFlags:
    etp = row.etp or (row.tp if facts.etp == "tp" else facts.etp)
    flags: JobFlags = {
        "--tensor-model-parallel-size": str(row.tp),
        "--pipeline-model-parallel-size": str(facts.pp),
        "--expert-model-parallel-size": str(row.ep),
        "--context-parallel-size": str(row.cp or 1),
        "--expert-tensor-parallel-size": str(etp),
        "--micro-batch-size": str(facts.mbs),
        "--global-batch-size": str(row.gbs),
        "--seq-length": str(row.seq_len),
        "--max-position-embeddings": str(max(row.seq_len or 0, 4096)),
    }
    if row.tp and row.tp > 1:
        flags["--sequence-parallel"] = True
        flags["--tp-comm-overlap"] = bool(facts.tp_comm_overlap)
    if facts.mtp_layers:
        flags["--mtp-num-layers"] = str(facts.mtp_layers)
    return flags


def _precision(facts: Facts) -> JobFlags:
    flags: JobFlags = {"--bf16": True}
    if facts.recipe == "nvfp4":
        flags |= {"--fp4-format": "e2m1", "--fp4-recipe": "nvfp4"}
    elif facts.recipe and facts.recipe != "bf16":
        flags |= {"--fp8-format": FP8_FORMAT[facts.recipe], "--fp8-recipe": facts.recipe}
        flags["--fp8-param-gather"] = bool(facts.fp8_param_gather)
        flags["--reuse-grad-buf-for-mxfp8-param-ag"] = facts.recipe == "mxfp8" and bool(facts.fp8_param_gather)
    return flags


def _optimizer(facts: Facts) -> JobFlags:
    overlap = facts.dp_overlap or ()
    flags: JobFlags = {
        "--overlap-grad-reduce": "grad" in overlap,
        "--overlap-param-gather": "param" in overlap,
        "--grad-reduce-in-bf16": facts.grad_reduce == "bf16",
    }
    if facts.moments == "bf16" or facts.main_grads == "bf16":
        flags |= {
            "--use-precision-aware-optimizer": True,
            "--main-grads-dtype": str(facts.main_grads),
            "--exp-avg-dtype": str(facts.moments),
            "--exp-avg-sq-dtype": str(facts.moments),
        }
    if facts.optimizer == "muon":
        flags["--optimizer"] = "muon"
    if facts.optimizer_offload:
        flags |= {"--optimizer-cpu-offload": True, "--optimizer-offload-fraction": str(facts.optimizer_offload)}
    return flags


def _saving(facts: Facts) -> JobFlags:
    """What saves activations, and what captures kernels."""
    flags: JobFlags = {}
    if facts.recompute == ("full",):
        flags |= {"--recompute-granularity": "full", "--recompute-method": "uniform", "--recompute-num-layers": "1"}
    elif facts.recompute and facts.recompute != ("none",):
        flags |= {"--recompute-granularity": "selective", "--recompute-modules": facts.recompute}
    if facts.activation_offload:
        flags |= {"--fine-grained-activation-offloading": True, "--offload-modules": facts.activation_offload}
    if facts.cuda_graph == ("full",):
        flags |= {"--cuda-graph-impl": "full_iteration", "--no-check-for-nan-in-loss-and-grad": True}
    elif facts.cuda_graph == ("full_layer",):
        flags["--cuda-graph-impl"] = "local"
    elif facts.cuda_graph and facts.cuda_graph != ("none",):
        flags |= {"--cuda-graph-impl": "transformer_engine", "--cuda-graph-modules": facts.cuda_graph}
    if facts.cuda_graph != ("none",):
        flags["--te-rng-tracker"] = True
    return flags


def _experts(facts: Facts) -> JobFlags:
    flags: JobFlags = {
        "--moe-token-dispatcher-type": str(facts.dispatcher),
        "--moe-router-fusion": bool(facts.router_fusion),
        "--moe-router-force-load-balancing": facts.routing == "balanced",
        "--overlap-moe-expert-parallel-comm": bool(facts.a2a_overlap),
        "--delay-wgrad-compute": bool(facts.a2a_overlap and facts.delay_wgrad),
        "--moe-shared-expert-overlap": bool(facts.shared_expert_overlap and not facts.a2a_overlap),
        "--moe-paged-stash": bool(facts.paged_stash),
        "--moe-pad-experts-for-cuda-graph-inference": bool(facts.paged_stash),
    }
    if facts.dispatcher in ("deepep", "hybridep"):
        flags |= {"--moe-token-dispatcher-type": "flex", "--moe-flex-dispatcher-backend": str(facts.dispatcher)}
    if facts.routing == "drop":
        flags |= {"--moe-expert-capacity-factor": "1.0", "--moe-pad-expert-input-to-capacity": True}
    if facts.cross_entropy in ("te", "native"):  # 0.19 withdrew Transformer Engine's
        flags |= {"--cross-entropy-loss-fusion": True, "--cross-entropy-fusion-impl": "native"}
    return flags


def _refuse_grids(args: MegatronArgs, world_size: int) -> None:
    """Unusable where the ranks or the batch cannot be dealt out."""
    mapping = parallel(args, world_size)
    grids: Mapping[str, int] = {"TP·CP·PP": mapping.dense_grid, "ETP·EP·PP": mapping.expert_grid}
    for name, size in grids.items():
        if world_size % size:
            raise Unusable(f"{world_size} GPUs cannot hold {name} = {size}")
    shape = batch(args, mapping.dp)
    if shape.global_ % (shape.micro * mapping.dp):
        raise Unusable(f"GBS={shape.global_} is no multiple of MBS·DP = {shape.micro}·{mapping.dp}")
