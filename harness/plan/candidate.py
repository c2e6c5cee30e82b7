"""One way to run a model, with its predicted cost."""

import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from harness.arch.parallel import Batch, Parallel
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.cost.flops import megatron_flops_per_step
from harness.cost.hardware import Gpu
from harness.cost.memory import ERROR_BAND, StageMemory, peak_stage
from harness.cost.step_time import StepTime
from harness.cost.training import Training
from harness.plan.violation import Violation
from harness.units import TERA

COMPUTING = ("dense GEMMs", "expert GEMMs", "attention", "element-wise kernels")
"""Parts of a step that are the work itself; all others are what keeps a GPU from it."""
WORTH_NAMING = 0.05
"""Share of a step from which on a part is said to limit it."""


class Candidate(NamedTuple):
    """A job with its predicted memory by pipeline rank, its step time, and what Megatron would refuse of it.

    `layout` is the `--pipeline-model-parallel-layout` of its pipeline, empty where layers are split evenly.
    `memory_bound`: memory keeps the same grid from a faster way to run. `settings` and `flags` are those that a search
    chose.
    """

    job: Training
    gpu: Gpu
    layout: str
    memory: tuple[StageMemory, ...]
    step_time: StepTime
    violations: tuple[Violation, ...] = ()
    memory_bound: bool = False
    settings: Mapping[str, str] = MappingProxyType({})
    flags: Mapping[str, ArgValue] = MappingProxyType({})

    @property
    def parallel(self) -> Parallel:
        """Its mapping."""
        return self.job.parallel

    @property
    def batch(self) -> Batch:
        """Its batch."""
        return self.job.batch

    @property
    def peak(self) -> StageMemory:
        """The fullest pipeline rank."""
        return peak_stage(self.memory)

    @property
    def fits(self) -> bool | None:
        """Whether that rank has room for it; None where the error of the prediction decides."""
        share = self.peak.total_bytes / self.gpu.hbm_bytes
        return None if abs(share - 1) <= ERROR_BAND else share < 1

    @property
    def tokens_per_s_per_gpu(self) -> float:
        """Tokens a second, over all GPUs."""
        tokens = self.batch.global_ * self.batch.seq_len
        return tokens / self.step_time.total_s / self.parallel.world_size

    @property
    def tflops_per_gpu(self) -> float:
        """TFLOP/s of each GPU in Megatron's convention, as its log prints them."""
        flops = megatron_flops_per_step(self.job.arch, sequences=self.batch.global_, seq_len=self.batch.seq_len)
        return flops / self.step_time.total_s / self.parallel.world_size / TERA

    @property
    def mfu(self) -> float | None:
        """That rate over the dense peak of the precision; None for a precision without one."""
        peak = self.gpu.peak(self.job.precision)
        return self.tflops_per_gpu * TERA / peak if peak else None

    @property
    def limits(self) -> tuple[str, ...]:
        """What keeps it from being faster, the worst first: `memory`, and parts of the step that are no computing."""
        idle = {name: part for name, part in self.step_time.parts_s.items() if name not in COMPUTING}
        total = self.step_time.total_s
        named = sorted((name for name, part in idle.items() if part > WORTH_NAMING * total), key=idle.__getitem__)
        return (*(["memory"] if self.memory_bound else []), *reversed(named)) or ("computing",)

    def launch_command(self, carried: Mapping[str, str], extra: Sequence[str]) -> str:
        """`moe-harness launch MODEL=… TP=… -- --recompute-granularity …`, with `carried` settings and `extra` flags."""
        settings = [f"{name}={value}" for name, value in {**carried, **self.settings}.items()]
        flags = [*extra, *MegatronArgs(self.flags).argv()]
        return shlex.join(["moe-harness", "launch", *settings, *(["--", *flags] if flags else [])])

    @property
    def shares(self) -> Mapping[str, float]:
        """Each part's share of the step."""
        return {name: part / self.step_time.total_s for name, part in self.step_time.parts_s.items()}
