"""What a search chooses among, one axis after the other; each within a stated bound.

TP   powers of two up to 8 and to the NVLink domain that divide heads, query groups and inner sizes
CP   powers of two that leave at least 4,096 tokens of a sequence to a rank
PP   every divisor of the GPUs up to the number of layers
VPP  every number of virtual stages that shortens the longest one: even stages, or a balanced layout
EP   every divisor of the experts
ETP  1 or TP
MBS  1, 2, 4, 8
"""

from collections.abc import Iterator, Mapping, Sequence

from harness.arch.parallel import world_size
from harness.config.megatron_args import ArgValue
from harness.config.provenance import Resolved
from harness.config.setting_flags import FLAG_OF_SETTING
from harness.cost.hardware import Gpu
from harness.cost.training import Training
from harness.plan.space.execution_options import with_flags
from harness.plan.space.pipeline_splits import PipelineSplit, pipeline_splits, split_flags
from harness.plan.verdict import violations_of
from harness.plan.violation import divisors

MOST_TP = 8
LEAST_TOKENS_OF_A_RANK = 4096
MICRO_BATCHES = (1, 2, 4, 8)


def only(chosen: Mapping[str, int], name: str, values: Sequence[int]) -> tuple[int, ...]:
    """What the user typed, or else all values."""
    return (chosen[name],) if name in chosen else tuple(values)


def _powers(most: int) -> list[int]:
    return [1 << exponent for exponent in range(most.bit_length())]


def tps(base: Resolved, gpu: Gpu, chosen: Mapping[str, int]) -> Iterator[int]:
    """Sizes that divide whatever TP splits, by Megatron's own constraints."""
    for tp in only(chosen, "TP", _powers(min(MOST_TP, gpu.nvlink_domain, world_size(base)))):
        flags: dict[str, ArgValue] = {FLAG_OF_SETTING["TP"]: str(tp)}
        found = violations_of(with_flags(base, flags), gpu)
        if not any(violation.constraint == "tensor-parallel" for violation in found):
            yield tp


def cps(seq_len: int) -> list[int]:
    """Sizes that leave each rank enough of a sequence, in two equal parts."""
    most = max(1, seq_len // LEAST_TOKENS_OF_A_RANK)
    return [cp for cp in _powers(most) if cp == 1 or seq_len % (2 * cp) == 0]


def legal_splits(
    base: Resolved, job: Training, gpu: Gpu, chosen: Mapping[str, int]
) -> dict[int, tuple[PipelineSplit, ...]]:
    """Pipeline splits by PP, as far as Megatron takes them: early releases have no layouts."""
    found: dict[int, tuple[PipelineSplit, ...]] = {}
    for pp in only(chosen, "PP", divisors(job.parallel.world_size)):
        if pp > len(job.arch.layers):
            break
        asked = [split for split in pipeline_splits(job.arch, pp) if split.vpp == chosen.get("VPP", split.vpp)]
        legal = tuple(split for split in asked if not _refuses(base, split, gpu))
        if legal:
            found[pp] = legal
    return found


def _refuses(base: Resolved, split: PipelineSplit, gpu: Gpu) -> bool:
    """Whether Megatron takes no such pipeline."""
    flags = split_flags(split.pp, split.vpp, split.layout)
    return any(found.constraint.startswith("pipeline") for found in violations_of(with_flags(base, flags), gpu))
