"""The Megatron flags of an evaluation's ranks: of the network, the mapping and the engine; none of training."""

from collections.abc import Iterator
from math import lcm

from harness.arch.parallel import Parallel, parallel, world_size
from harness.checkpoint.network_flags import NETWORK
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.provenance import Resolved
from harness.config.rules.engine import NO_FUSED_KERNELS, NO_JIT_KERNELS

_OF_NETWORK = (*NETWORK, "--vocab-size", "--moe-router-dtype")

_OF_THE_JOB = (
    *("--tensor-model-parallel-size", "--pipeline-model-parallel-size", "--expert-model-parallel-size"),
    *("--expert-tensor-parallel-size", "--decoder-first-pipeline-num-layers", "--decoder-last-pipeline-num-layers"),
    *("--pipeline-model-parallel-layout", "--sequence-parallel", "--distributed-backend"),
    *("--distributed-timeout-minutes", "--transformer-impl", "--bf16", "--fp16", "--moe-grouped-gemm"),
    *(*NO_FUSED_KERNELS, *NO_JIT_KERNELS),
)
_EXTRA = "extra flags"
"""The layer of what the user wrote after `--`."""


def evaluation_flags(resolved: Resolved, seq_len: int) -> MegatronArgs:
    """The flags by which the engine builds, maps and runs the network on windows of `seq_len` tokens.

    What only training has is left out, but for what the user wrote after `--`. Tokens come without a tokenizer, and
    are dispatched by all-to-all: an evaluation forwards too little at once for others to pay.
    """
    asked = resolved.megatron_args
    kept = {flag: value for flag, value in asked.items() if flag in (*_OF_NETWORK, *_OF_THE_JOB)}
    kept |= {flag: value for flag, value in asked.items() if _is_extra(flag, resolved)}
    data_parallel = parallel(asked, world_size(resolved)).dp
    fixed: dict[str, ArgValue] = {
        "--seq-length": str(seq_len),
        "--micro-batch-size": "1",
        "--global-batch-size": str(max(data_parallel, 1)),
        **({"--moe-token-dispatcher-type": "alltoall"} if "--num-experts" in kept else {}),
    }
    return MegatronArgs({**fixed, **kept})


def least_ranks(mapping: Parallel) -> int:
    """The fewest ranks that hold the whole network under a mapping: PP · lcm(TP, ETP·EP)."""
    return mapping.pp * lcm(mapping.tp, mapping.etp * mapping.ep)


def mapping_problems(resolved: Resolved) -> Iterator[str]:
    """A mapping that does not fit the ranks, and what would."""
    ranks = world_size(resolved)
    mapping = parallel(resolved.megatron_args, ranks)
    least = least_ranks(mapping)
    if mapping.cp > 1:
        yield (
            f"{resolved.at('CP')}CP={mapping.cp}: context parallel is for training; leave it out, the values do not"
            " depend on it"
        )
    if ranks % least:
        sizes = {"TP": mapping.tp, "PP": mapping.pp, "EP": mapping.ep, "ETP": mapping.etp}
        told = " ".join(f"{name}={size}" for name, size in sizes.items())
        yield (
            f"{resolved.at(max(sizes, key=lambda name: sizes[name]))}{told} takes {least} ranks"
            f" or a multiple of them, and there are {ranks} (NNODES={resolved.integer('NNODES', 1)}"
            f" GPUS_PER_NODE={resolved.integer('GPUS_PER_NODE', 1)}); set NGPU={least}, or another mapping"
        )


def _is_extra(flag: str, resolved: Resolved) -> bool:
    origin = resolved.origin(flag)
    return origin is not None and origin.layer == _EXTRA
