"""Micro-batches whose activations a pipeline rank holds at once.

Source: `get_pp_rank_microbatches` and `get_schedule_table` of megatron/core/pipeline_parallel/schedules.py.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, repeat


@lru_cache(maxsize=1 << 14)
def in_flight(rank: int, pp: int, vpp: int, microbatches: int, extra: bool) -> tuple[tuple[int, ...], ...]:
    """Micro-batches held by virtual stage, at each moment that could be the fullest.

    Plain 1F1B holds one for each stage from this one to the last. The interleaved schedule deals micro-batches in
    groups of PP to the virtual stages in turn; a rank warms up, then adds one forward pass and takes one backward pass
    away. `extra`: with overlapped all-to-all it warms up by one more, and each forward pass runs beside a backward
    pass, whose layers are freed as those of the other are filled.
    """
    if vpp == 1:
        return ((min(microbatches, pp - rank),),)
    total = microbatches * vpp
    warmup = min(total, (pp - rank - 1) * 2 + (vpp - 1) * pp + extra)
    forwards = list(islice(_dealt(microbatches, pp, vpp), warmup + vpp * pp))
    held = [0] * vpp
    for stage in forwards[:warmup]:
        held[stage] += 1
    moments = [tuple(held)] if extra or warmup == total else []
    for step, stage in enumerate(forwards[warmup : warmup + vpp * pp]):
        held[stage] += 1
        freed = vpp - 1 - forwards[step]
        if extra:
            held[freed] -= 1
        moments.append(tuple(held))
        if not extra:
            held[freed] -= 1
    return tuple(dict.fromkeys(moments))


def _dealt(microbatches: int, pp: int, vpp: int) -> Iterator[int]:
    """Virtual stages in the order of the forward passes."""
    for first in range(0, microbatches, pp):
        for stage in range(vpp):
            yield from repeat(stage, min(pp, microbatches - first))
