"""The search space: all mappings of a model onto so many GPUs, within the bounds that axes.py states."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from harness.arch.model import ModelArch, padded_vocab_size
from harness.arch.parallel import Batch, Parallel, world_size
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.provenance import Resolved
from harness.config.setting_flags import FLAG_OF_SETTING
from harness.cost.hardware import Gpu
from harness.cost.training import Recompute, Training
from harness.errors import ConfigError
from harness.plan.predict import job_of
from harness.plan.space.axes import MICRO_BATCHES, cps, legal_splits, only, tps
from harness.plan.space.execution_options import (
    ExecutionOption,
    Resolve,
    base_of,
    execution_options,
    experts,
    with_flags,
)
from harness.plan.space.pipeline_splits import PipelineSplit
from harness.plan.space.point import Grid, SpacePoint
from harness.plan.space.settings import WHOLE
from harness.plan.verdict import violations_of
from harness.plan.violation import divisors, listed

SIZE_CONSTRAINTS = ("tensor-parallel", "expert-parallel", "attention", "sequence-length", "world-size")
REPLICA_CONSTRAINTS = ("global-batch",)
"""Constraints that a typed size may break whatever the others are; and those that count replicas."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """The search space. `base` configures the unsplit job, `networks` is the network padded for each TP."""

    base: Resolved
    gpu: Gpu
    world_size: int
    batch: Batch
    networks: Mapping[int, ModelArch]
    cps: tuple[int, ...]
    pipeline_splits: Mapping[int, tuple[PipelineSplit, ...]]
    eps: tuple[int, ...]
    etps: tuple[int, ...]
    micros: tuple[int, ...]
    execution_options: tuple[ExecutionOption, ...]

    def grids(self) -> Iterator[Grid]:
        """Every pair of grids that tiles the GPUs."""
        for tp in self.networks:
            for cp in self.cps:
                for pp in self.pipeline_splits:
                    if self.world_size % (tp * cp * pp) or self.batch.seq_len // cp % tp:
                        continue
                    for etp in sorted({1, tp}.intersection(self.etps or {1, tp})):
                        for ep in self.eps:
                            if self.world_size % (etp * ep * pp) == 0:
                                yield Grid(tp=tp, cp=cp, pp=pp, ep=ep, etp=etp)

    def points(self, grid: Grid) -> Iterator[SpacePoint]:
        """Virtual stages and micro-batches that a grid may have."""
        dp = self.world_size // (grid.tp * grid.cp * grid.pp)
        for micro in self.micros:
            if self.batch.global_ % (micro * dp):
                continue
            microbatches = self.batch.global_ // (micro * dp)
            for split in self.pipeline_splits[grid.pp]:
                if split.vpp == 1 or microbatches % grid.pp == 0:
                    yield SpacePoint(grid=grid, split=split, micro=micro, microbatches=microbatches)

    def options_of(self, point: SpacePoint) -> Iterator[ExecutionOption]:
        """The options that a mapping has; some exchange tokens where there is nobody to exchange with."""
        for option in self.execution_options:
            if option.exchanges and point.grid.ep * point.grid.etp == 1:
                continue
            if option.job.overlap.expert and (point.grid.ep == 1 or (point.grid.pp > 1 and point.split.vpp == 1)):
                continue
            yield option

    def job(self, point: SpacePoint, option: ExecutionOption, recompute: Recompute) -> Training:
        """The training that they come to."""
        grid = point.grid
        return replace(
            option.job,
            arch=self.networks[grid.tp],
            parallel=Parallel(world_size=self.world_size, vpp=point.split.vpp, **grid._asdict()),
            batch=self.batch._replace(micro=point.micro),
            pipeline=point.split.pipeline,
            recompute=recompute,
            sequence_parallel=grid.tp > 1,
        )


def space(resolve: Resolve, gpu: Gpu, fixed: Mapping[str, str]) -> Space:
    """The space that the user left open: `fixed` are the settings of AXES that were typed.

    ConfigError where no way to run the model can be, whatever the mapping.
    """
    base = base_of(resolve)
    args, ranks, job = base.megatron_args, world_size(base), job_of(base)
    chosen = {name: int(value) for name, value in fixed.items() if name in WHOLE}
    _refuse_fixed(base, gpu, chosen)
    splits = legal_splits(base, job, gpu, chosen)
    if not splits:
        raise ConfigError(_no_pipeline(job, ranks, chosen))
    roomiest = max((split for found in splits.values() for split in found), key=lambda split: (split.vpp > 1, split.pp))
    options, refused = execution_options(resolve, gpu, roomiest, fixed)
    if not options:
        raise ConfigError([str(violation) for violation in refused])
    return Space(
        base=base,
        gpu=gpu,
        world_size=ranks,
        batch=job.batch,
        networks={tp: _padded(job.arch, args, tp) for tp in tps(base, gpu, chosen)},
        cps=only(chosen, "CP", cps(job.batch.seq_len)),
        pipeline_splits=splits,
        eps=only(chosen, "EP", divisors(experts(job.arch))),
        etps=(chosen["ETP"],) if "ETP" in chosen else (),
        micros=only(chosen, "MBS", MICRO_BATCHES),
        execution_options=tuple(options),
    )


def _refuse_fixed(base: Resolved, gpu: Gpu, chosen: Mapping[str, int]) -> None:
    """Sizes that were typed and fit no mapping."""
    flags: dict[str, ArgValue] = {FLAG_OF_SETTING[name]: str(size) for name, size in chosen.items() if name != "VPP"}
    if chosen.get("TP", 1) > 1:
        flags["--sequence-parallel"] = True
    broken_by_sizes = {*SIZE_CONSTRAINTS, *(REPLICA_CONSTRAINTS if {"TP", "CP", "PP"} <= chosen.keys() else ())}
    found = [it for it in violations_of(with_flags(base, flags), gpu) if it.constraint in broken_by_sizes]
    if found:
        raise ConfigError([f"command line: {violation}" for violation in found])


def _no_pipeline(job: Training, ranks: int, chosen: Mapping[str, int]) -> str:
    """Why no pipeline can be built."""
    typed = " ".join(f"{name}={chosen[name]}" for name in ("PP", "VPP") if name in chosen)
    divide = [pp for pp in divisors(ranks) if pp <= len(job.arch.layers)]
    return (
        f"command line: {typed} splits {len(job.arch.layers)} layers on {ranks} GPUs in no way that Megatron takes;"
        f" PP that divides the GPUs: {listed(divide)}, with PP·VPP of at most {len(job.arch.layers)}"
    )


def _padded(arch: ModelArch, args: MegatronArgs, tp: int) -> ModelArch:
    flags = MegatronArgs({**args, FLAG_OF_SETTING["TP"]: str(tp)})
    return replace(arch, padded_vocab_size=padded_vocab_size(flags))
