"""How a job is spread over its ranks, and how a global batch is spread over time.

The ranks are divided twice: attention and dense layers by the grid TP·CP·PP·DP, experts by the grid ETP·EP·PP·EDP.
"""

from typing import NamedTuple

from harness.arch.layout import layout_stages
from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Resolved


class Parallel(NamedTuple):
    """The mapping. `vpp` counts the virtual stages of a pipeline rank; 1 is the plain 1F1B schedule."""

    world_size: int
    tp: int = 1
    cp: int = 1
    pp: int = 1
    vpp: int = 1
    ep: int = 1
    etp: int = 1

    @property
    def dense_grid(self) -> int:
        """Ranks that hold one copy of the attention and dense layers: TP·CP·PP."""
        return self.tp * self.cp * self.pp

    @property
    def expert_grid(self) -> int:
        """Ranks that hold one copy of the experts: ETP·EP·PP."""
        return self.etp * self.ep * self.pp

    @property
    def dp(self) -> int:
        """Data-parallel replicas of the dense layers; exact once `check` finds nothing."""
        return self.world_size // self.dense_grid

    @property
    def edp(self) -> int:
        """Data-parallel replicas of each expert; exact once `check` finds nothing."""
        return self.world_size // self.expert_grid


class Batch(NamedTuple):
    """Sequences of `seq_len` tokens: `micro` at once on a rank, `global_` in a step."""

    micro: int
    global_: int
    seq_len: int


def parallel(args: MegatronArgs, world_size: int) -> Parallel:
    """The mapping that the flags ask for on `world_size` ranks; without an ETP, experts have the TP of the rest."""
    tp = args.integer("--tensor-model-parallel-size", 1)
    return Parallel(
        world_size=world_size,
        tp=tp,
        cp=args.integer("--context-parallel-size", 1),
        pp=args.integer("--pipeline-model-parallel-size", 1),
        vpp=virtual_stages(args),
        ep=args.integer("--expert-model-parallel-size", 1),
        etp=args.integer("--expert-tensor-parallel-size", tp),
    )


def world_size(resolved: Resolved) -> int:
    """Ranks of the whole job."""
    return resolved.integer("NNODES", 1) * resolved.integer("GPUS_PER_NODE", 1)


def batch(args: MegatronArgs, dp: int) -> Batch:
    """The batch that the flags ask for; Megatron's default is one micro-batch for each of `dp` replicas."""
    micro = args.integer("--micro-batch-size")
    return Batch(
        micro=micro,
        global_=args.integer("--global-batch-size", micro * dp),
        seq_len=args.integer("--seq-length"),
    )


def virtual_stages(args: MegatronArgs) -> int:
    """Virtual pipeline stages of a rank, from whichever of the three flags is set; 1 without interleaving."""
    pp = args.integer("--pipeline-model-parallel-size", 1)
    layout = args.text("--pipeline-model-parallel-layout")
    if layout:
        return max(1, len(layout_stages(layout)) // pp)
    per_stage = args.integer("--num-layers-per-virtual-pipeline-stage")
    if per_stage:
        return max(1, pipeline_units(args) // pp // per_stage)
    return args.integer("--num-virtual-stages-per-pipeline-rank", 1)


def pipeline_units(args: MegatronArgs) -> int:
    """What a pipeline divides: the layers, and the embedding and the loss where they count as a layer each."""
    extra = args.switch("--account-for-embedding-in-pipeline-split") + args.switch(
        "--account-for-loss-in-pipeline-split"
    )
    return args.integer("--num-layers") + extra
