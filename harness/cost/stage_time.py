"""Time of a virtual pipeline stage for one micro-batch, forward and backward."""

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from harness.arch.model import LayerSpec, ModelArch
from harness.arch.stages import Pipeline, Stage
from harness.cost.gemm import gemm_s
from harness.cost.layer_shape import LayerShape
from harness.cost.layer_time import LayerTime, layer_time
from harness.cost.parts import NOTHING, Parts
from harness.cost.rates import Rates
from harness.cost.training import Recompute, Training

WAITING_ORDER = 2.0
RUNNING_AHEAD_ORDER = 6.0
"""Host and device run side by side, and take (host^p + device^p)^(1/p) together. A host that must wait for the counts
of tokens in each layer cannot run ahead, so that both wait for each other more often (a smaller p)."""


class StageTime(NamedTuple):
    """`seconds` are what host and device take together; `parts` say what the device does."""

    parts: Parts
    seconds: float


class Content(NamedTuple):
    """What a virtual stage holds, by kind: as much as its time depends on."""

    layers: tuple[tuple[LayerSpec, int], ...]
    mtp_layers: int
    loss: bool


class Contents(NamedTuple):
    """The different contents of a pipeline's stages, and by pipeline rank which of them its virtual stages have."""

    kinds: tuple[Content, ...]
    ranks: tuple[tuple[int, ...], ...]


@lru_cache(maxsize=512)
def contents(arch: ModelArch, pipeline: Pipeline) -> Contents:
    """The pipeline's stages by what they hold."""
    held = [[_content(arch, stage) for stage in stages] for stages in pipeline]
    kinds = tuple(dict.fromkeys(content for stages in held for content in stages))
    number = {content: index for index, content in enumerate(kinds)}
    return Contents(kinds=kinds, ranks=tuple(tuple(number[content] for content in stages) for stages in held))


def _content(arch: ModelArch, stage: Stage) -> Content:
    counts = Counter(arch.layers[index] for index in stage.layers)
    return Content(layers=tuple(counts.items()), mtp_layers=stage.mtp_layers, loss=stage.loss)


def stage_times(job: Training, shape: LayerShape, speed: Rates) -> list[list[StageTime]]:
    """The time of every virtual stage, by pipeline rank."""
    kinds, ranks = contents(job.arch, job.pipeline)
    times = [_stage_time(job, content, shape, speed) for content in kinds]
    return [[times[kind] for kind in stages] for stages in ranks]


def _stage_time(job: Training, content: Content, shape: LayerShape, speed: Rates) -> StageTime:
    parts = NOTHING
    left = job.recompute.layers
    for spec, count in content.layers:
        again = count if left is None else min(left, count)
        left = None if left is None else left - again
        parts = parts.plus(_layers(layer_time(spec, job.arch.hidden, shape, speed), count, again, job.recompute))
    if content.mtp_layers:
        parts = parts.plus(_mtp(job.arch, shape, speed, job.recompute).times(content.mtp_layers))
    if content.loss:
        parts = parts.plus(_logits(job.arch, shape, speed))
    if job.overlap.expert:
        exposed = max(parts.ep * (1 - speed.constants.hidden_expert), parts.ep - parts.compute_s)
        parts = parts._replace(ep=exposed)
    return StageTime(parts=parts, seconds=together_s(parts, shape))


def together_s(parts: Parts, shape: LayerShape) -> float:
    """Host and device side by side."""
    order = RUNNING_AHEAD_ORDER if shape.static_shapes else WAITING_ORDER
    return float((parts.device_s**order + parts.host**order) ** (1 / order))


def _layers(time: LayerTime, count: int, again: int, recompute: Recompute) -> Parts:
    once = time.forward.plus(time.backward).plus(time.recomputed).times(count)
    return once.plus(time.forward.times(again)) if recompute.granularity == "full" else once


def _mtp(arch: ModelArch, shape: LayerShape, speed: Rates, recompute: Recompute) -> Parts:
    """An MTP module: its layer, its projection of two vectors to one, and logits of its own."""
    layer = _layers(layer_time(arch.mtp_layer, arch.hidden, shape, speed), 1, 1, recompute)
    projection = Parts(gemm=3 * gemm_s(shape.own_tokens, arch.hidden, 2 * arch.hidden, speed))
    return layer.plus(projection).plus(_logits(arch, shape, speed))


def _logits(arch: ModelArch, shape: LayerShape, speed: Rates) -> Parts:
    """Output layer and loss, forward and backward: logits pass through memory a few times in fp32."""
    rows = arch.padded_vocab_size / shape.tp
    product = gemm_s(shape.tokens, rows, arch.hidden, speed, bf16=True)
    return Parts(gemm=3 * product, elementwise=6 * 4 * shape.tokens * rows / speed.hbm_bytes_per_s)
