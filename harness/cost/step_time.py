"""Time of a training step, in parts that add up."""

from collections.abc import Mapping
from math import log2
from typing import NamedTuple

from harness.cost.comm import send_s
from harness.cost.constants import Constants
from harness.cost.data_parallel_time import communication_s, fullest_rank, optimizer_s
from harness.cost.hardware import Gpu
from harness.cost.layer_shape import layer_shape
from harness.cost.parts import NOTHING, Parts
from harness.cost.rates import Rates, rates
from harness.cost.stage_time import StageTime, stage_times
from harness.cost.training import Training

GPUS_OF_A_NODE = 8


class StepTime(NamedTuple):
    """Seconds of a step on its critical path; the parts add up to `total_s`.

    Communication counts as far as computation does not hide it.
    """

    parts_s: Mapping[str, float]

    @property
    def total_s(self) -> float:
        """The whole step."""
        return sum(self.parts_s.values())


def step_time(job: Training, gpu: Gpu, constants: Constants | None = None) -> StepTime:
    """The predicted step of `job` on `gpu`s, by their own constants unless others are given.

    The fullest pipeline rank works on all micro-batches; filling and draining the pipeline, and the ends of the step,
    come on top.
    """
    speed = rates(gpu, job.precision, constants or gpu.constants)
    ranks = stage_times(job, layer_shape(job), speed)
    fullest = max(ranks, key=lambda stages: sum(stage.seconds for stage in stages))
    microbatch_s = sum(stage.seconds for stage in fullest)
    seconds = _named(fullest, job.microbatches)
    held = fullest_rank(job.arch, job.pipeline, job.parallel)
    seconds["pipeline bubble"] = _bubble_s(job, ranks)
    seconds["pipeline send"] = _send_s(job, speed)
    seconds["gradients and weights"] = communication_s(job, held, microbatch_s, speed)
    seconds["optimizer"] = optimizer_s(job, held, speed)
    seconds["step overhead"] = overhead_s(job, speed) / job.parallel.pp
    doublings = log2(max(1.0, job.parallel.world_size / GPUS_OF_A_NODE))
    seconds["jitter"] = sum(seconds.values()) * speed.constants.jitter * doublings
    return StepTime(parts_s=seconds)


def _named(stages: list[StageTime], microbatches: int) -> dict[str, float]:
    """The parts of all micro-batches; what the device does not explain is waiting for the host."""
    parts = NOTHING
    for stage in stages:
        parts = parts.plus(stage.parts)
    waiting_s = sum(stage.seconds for stage in stages) - parts.device_s
    return {**_device_parts(parts.times(microbatches)), "waiting for the host": max(0.0, waiting_s * microbatches)}


def _device_parts(parts: Parts) -> dict[str, float]:
    return {
        "dense GEMMs": parts.gemm,
        "expert GEMMs": parts.experts,
        "attention": parts.attention,
        "element-wise kernels": parts.elementwise,
        "TP communication": parts.tp,
        "CP communication": parts.cp,
        "EP communication": parts.ep,
    }


def overhead_s(job: Training, speed: Rates) -> float:
    """What the host does once a step, for each layer of the model; a graph of the whole iteration holds it too."""
    return 0.0 if job.graphs.full else speed.constants.host_step_s * speed.host_factor * len(job.arch.layers)


def _bubble_s(job: Training, ranks: list[list[StageTime]]) -> float:
    """Filling and draining: PP - 1 virtual stages, forward and backward, at their mean length."""
    seconds = [stage.seconds for stages in ranks for stage in stages]
    return (job.parallel.pp - 1) * sum(seconds) / len(seconds)


def _send_s(job: Training, speed: Rates) -> float:
    """Activations between stages; the interleaved schedule sends more often, but beside computation."""
    par = job.parallel
    if par.pp == 1:
        return 0.0
    message_bytes = job.tokens_per_rank / par.tp * job.arch.hidden * 2
    exposed = 2 * (job.microbatches if par.vpp == 1 else par.vpp * par.pp)
    return exposed * send_s(message_bytes, par.world_size // par.pp, speed)
