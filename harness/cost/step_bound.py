"""A step is no faster than this, however the model is spread over pipeline stages.

For searches: the model's time for one micro-batch does not depend on PP and VPP, so that one figure serves many
mappings. Spreading can only add to it: the fullest rank works longer than the mean one, and host and device wait for
each other in every stage anew (the norm in `together_s` of a sum is at most the sum of the norms).
"""

from math import log2
from typing import NamedTuple

from harness.arch.stages import Stage
from harness.cost.hardware import Gpu
from harness.cost.layer_shape import layer_shape
from harness.cost.rates import rates
from harness.cost.stage_time import stage_times
from harness.cost.step_time import GPUS_OF_A_NODE, overhead_s
from harness.cost.training import Training


def whole_model(layers: int, mtp_layers: int) -> Stage:
    """The model as one stage."""
    return Stage(layers=tuple(range(layers)), embedding=True, mtp_layers=mtp_layers, loss=True)


class WholeModel(NamedTuple):
    """Seconds of the model in one stage, jitter included: a micro-batch forward and backward, and a step's overhead."""

    microbatch_s: float
    overhead_s: float


def model_s(job: Training, gpu: Gpu) -> WholeModel:
    """What a job takes in one stage (`whole_model`)."""
    speed = rates(gpu, job.precision, gpu.constants)
    ((only,),) = stage_times(job, layer_shape(job), speed)
    jitter = 1 + speed.constants.jitter * log2(max(1.0, job.parallel.world_size / GPUS_OF_A_NODE))
    return WholeModel(only.seconds * jitter, overhead_s(job, speed) * jitter)


def least_step_s(whole: WholeModel, *, pp: int, vpp: int, microbatches: int) -> float:
    """The fullest rank works at least as long as the mean one, and fills and drains the pipeline."""
    return (whole.microbatch_s * (microbatches + (pp - 1) / vpp) + whole.overhead_s) / pp
