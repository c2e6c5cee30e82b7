"""The activation peak of each pipeline rank: what its micro-batches hold at the fullest moment of the schedule."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from operator import mul
from typing import NamedTuple

from harness.arch.model import LayerSpec, ModelArch
from harness.arch.parallel import Parallel
from harness.arch.shards import RankParameters, rank_parameters
from harness.arch.stages import Pipeline, Stage
from harness.cost.activations import Saved, boundary_bytes, ends_activations, layer_activations, mtp_activations
from harness.cost.buffers import dummy_gradient_bytes
from harness.cost.in_flight import in_flight
from harness.cost.microbatch_shard import MicrobatchShard
from harness.cost.training import Recompute
from harness.cost.transients import CrossEntropy, layer_backward_bytes, loss_bytes


class Schedule(NamedTuple):
    """What decides how many micro-batches are in flight, beside the pipeline."""

    microbatches: int
    overlapped: bool


class ActivationPeak(NamedTuple):
    """One rank at its fullest moment: its parameters, and what its micro-batches hold beside them, in bytes."""

    parameters: RankParameters
    saved: Saved
    transient: Mapping[str, int]
    peak_bytes: int
    dummy_gradients_bytes: int


@lru_cache(maxsize=1 << 14)
def activation_peaks(
    arch: ModelArch,
    pipeline: Pipeline,
    mapping: Parallel,
    shard: MicrobatchShard,
    recompute: Recompute,
    schedule: Schedule,
    loss: CrossEntropy,
) -> tuple[ActivationPeak, ...]:
    """The peak of every pipeline rank. Cached: searches ask for the same pipelines again and again."""
    peaks = []
    for rank, stages in enumerate(pipeline):
        moments = in_flight(rank, len(pipeline), len(stages), *schedule)
        kinds = _kinds(arch, stages, recompute)
        saved = _saved(arch, kinds, moments, shard, recompute)
        transient = _transient(arch, kinds, shard, recompute, loss, overlapped=schedule.overlapped)
        peaks.append(
            ActivationPeak(
                parameters=rank_parameters(arch, stages, mapping),
                saved=saved,
                transient=transient,
                peak_bytes=sum(saved.values()) + sum(transient.values()),
                dummy_gradients_bytes=dummy_gradient_bytes(arch, stages, mapping.tp, mapping.etp),
            )
        )
    return tuple(peaks)


class _Kinds(NamedTuple):
    """The distinct layers of a rank, and of each virtual stage how many it has of each, and of checkpointed ones."""

    stages: tuple[Stage, ...]
    layers: tuple[LayerSpec, ...]
    counts: tuple[tuple[int, ...], ...]
    checkpointed: tuple[int, ...]


@lru_cache(maxsize=1 << 14)
def _kinds(arch: ModelArch, stages: tuple[Stage, ...], recompute: Recompute) -> _Kinds:
    held = [[arch.layers[index] for index in stage.layers] for stage in stages]
    whole = tuple(_checkpointed(len(layers), recompute) for layers in held)
    layers = tuple(dict.fromkeys(layer for part in held for layer in part))
    counts = (Counter(part[skip:]) for part, skip in zip(held, whole, strict=True))
    return _Kinds(
        stages=stages,
        layers=layers,
        counts=tuple(tuple(count[layer] for layer in layers) for count in counts),
        checkpointed=whole,
    )


def _checkpointed(layers: int, recompute: Recompute) -> int:
    """How many layers of a virtual stage keep their input alone."""
    if recompute.granularity != "full":
        return 0
    return layers if recompute.layers is None else min(layers, recompute.layers)


def _saved(
    arch: ModelArch, kinds: _Kinds, moments: tuple[tuple[int, ...], ...], shard: MicrobatchShard, recompute: Recompute
) -> Saved:
    """Saved bytes by module over the micro-batches in flight, at the fullest moment of the schedule."""
    parts = [layer_activations(layer, arch.hidden, shard) for layer in kinds.layers]
    others = [
        _beside_layers(arch, stage, shard, recompute, checkpointed)
        for stage, checkpointed in zip(kinds.stages, kinds.checkpointed, strict=True)
    ]
    fullest = moments[0]
    if len(moments) > 1:
        layer_bytes = [sum(part.values()) for part in parts]
        stage_bytes = [
            sum(map(mul, count, layer_bytes)) + sum(other.values())
            for count, other in zip(kinds.counts, others, strict=True)
        ]
        if len(set(stage_bytes)) > 1:
            fullest = max(moments, key=lambda held: sum(map(mul, held, stage_bytes)))
    total: dict[str, int] = {}
    of_layers = [sum(map(mul, fullest, column)) for column in zip(*kinds.counts, strict=True)]
    for count, part in chain(zip(of_layers, parts, strict=True), zip(fullest, others, strict=True)):
        for name, size in part.items() if count else ():
            total[name] = total.get(name, 0) + count * size
    return total


def _beside_layers(
    arch: ModelArch, stage: Stage, shard: MicrobatchShard, recompute: Recompute, checkpointed: int
) -> Saved:
    """What one micro-batch leaves in a virtual stage beside its layers."""
    parts = {"layer inputs": checkpointed * boundary_bytes(arch, shard)} if checkpointed else {}
    if stage.mtp_layers:
        inner = layer_activations(arch.mtp_layer, arch.hidden, shard).values()
        full = recompute.granularity == "full"
        one = 2 * boundary_bytes(arch, shard) if full else sum(inner) + mtp_activations(arch, shard)
        parts["mtp"] = stage.mtp_layers * one
    if stage.loss:
        parts["output_layer"] = ends_activations(arch, shard)
    return parts


def _transient(
    arch: ModelArch,
    kinds: _Kinds,
    shard: MicrobatchShard,
    recompute: Recompute,
    loss: CrossEntropy,
    *,
    overlapped: bool,
) -> dict[str, int]:
    """The larger of two moments: the loss, where it stands on this rank, and the backward pass of one layer.

    A layer has its gradients, and its activations where they are computed again, or beside another micro-batch's.
    """
    again = recompute.granularity == "full" or overlapped
    layer = max(
        (
            layer_backward_bytes(layer, arch.hidden, shard)
            + (sum(layer_activations(layer, arch.hidden, shard).values()) if again else 0)
            for layer in kinds.layers
        ),
        default=0,
    )
    if any(stage.loss for stage in kinds.stages):
        logits = loss_bytes(arch, shard, kind=loss, mtp_layers=arch.mtp_layers)
        if logits > layer:
            return {"loss": logits}
    return {"layer": layer}
