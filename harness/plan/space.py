"""All mappings of a model onto so many GPUs, within stated bounds.

TP   powers of two up to 8 and to the NVLink domain that divide heads, query groups and inner sizes
CP   powers of two that leave at least 4,096 tokens of a sequence to a rank
PP   every divisor of the GPUs up to the number of layers
VPP  every number of virtual stages that shortens the longest one: even stages, or a balanced layout
EP   every divisor of the experts
ETP  1 or TP
MBS  1, 2, 4, 8
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from harness.arch.model import ModelArch, padded_vocab_size
from harness.arch.moe import MoE
from harness.arch.parallel import Batch, Parallel
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.provenance import Resolved
from harness.cost.hardware import Gpu
from harness.cost.training import Recompute, Training
from harness.errors import ConfigError
from harness.plan.predict import job_of, violations_of, world_size
from harness.plan.splits import Split, split_flags, splits
from harness.plan.violation import FLAG_OF_SETTING, divisors, listed
from harness.plan.ways import WHOLE, Resolve, Way, added_flags, base_of, ways, with_flags

MOST_TP = 8
LEAST_TOKENS_OF_A_RANK = 4096
MICRO_BATCHES = (1, 2, 4, 8)
AXES = ("TP", "CP", "PP", "VPP", "EP", "ETP", "MBS", "MOE_TOKEN_DISPATCHER", "A2A_OVERLAP")
"""Settings that a search chooses; one that the user typed stays."""
UNEVEN = ("PP_FIRST", "PP_LAST", "PP_LAYOUT", "LAYERS_PER_VP")
"""Settings that say how stages differ; a preset's own would speak against a split that is chosen anew."""


RULES_OF_SIZES = ("tensor-parallel", "expert-parallel", "attention", "sequence-length", "world-size")
RULES_OF_REPLICAS = ("global-batch",)
"""Rules that a typed size may break whatever the others are; and those that count replicas."""


class Grid(NamedTuple):
    """Both grids that cut the ranks: TP·CP·PP·DP and ETP·EP·PP·EDP."""

    tp: int
    cp: int
    pp: int
    ep: int
    etp: int


class Point(NamedTuple):
    """A mapping and its batch: all but how tokens travel and what is recomputed."""

    grid: Grid
    split: Split
    micro: int
    microbatches: int


@dataclass(frozen=True, kw_only=True)
class Space:
    """What a search runs through. `base` configures the unsplit job, `networks` is the network padded for each TP."""

    base: Resolved
    gpu: Gpu
    world_size: int
    batch: Batch
    networks: Mapping[int, ModelArch]
    cps: tuple[int, ...]
    splits: Mapping[int, tuple[Split, ...]]
    eps: tuple[int, ...]
    etps: tuple[int, ...]
    micros: tuple[int, ...]
    ways: tuple[Way, ...]

    def grids(self) -> Iterator[Grid]:
        """Every pair of grids that tiles the GPUs."""
        for tp in self.networks:
            for cp in self.cps:
                for pp in self.splits:
                    if self.world_size % (tp * cp * pp) or self.batch.seq_len // cp % tp:
                        continue
                    for etp in sorted({1, tp}.intersection(self.etps or {1, tp})):
                        for ep in self.eps:
                            if self.world_size % (etp * ep * pp) == 0:
                                yield Grid(tp=tp, cp=cp, pp=pp, ep=ep, etp=etp)

    def points(self, grid: Grid) -> Iterator[Point]:
        """Virtual stages and micro-batches that a grid may have."""
        dp = self.world_size // (grid.tp * grid.cp * grid.pp)
        for micro in self.micros:
            if self.batch.global_ % (micro * dp):
                continue
            microbatches = self.batch.global_ // (micro * dp)
            for split in self.splits[grid.pp]:
                if split.vpp == 1 or microbatches % grid.pp == 0:
                    yield Point(grid=grid, split=split, micro=micro, microbatches=microbatches)

    def ways_of(self, point: Point) -> Iterator[Way]:
        """Ways to run a mapping; some exchange tokens where there is nobody to exchange with."""
        for way in self.ways:
            if way.exchanges and point.grid.ep * point.grid.etp == 1:
                continue
            if way.job.overlap.expert and (point.grid.ep == 1 or (point.grid.pp > 1 and point.split.vpp == 1)):
                continue
            yield way

    def job(self, point: Point, way: Way, recompute: Recompute) -> Training:
        """The training that they come to."""
        grid = point.grid
        return replace(
            way.job,
            arch=self.networks[grid.tp],
            parallel=Parallel(world_size=self.world_size, vpp=point.split.vpp, **grid._asdict()),
            batch=replace(self.batch, micro=point.micro),
            pipeline=point.split.pipeline,
            recompute=recompute,
            sequence_parallel=grid.tp > 1,
        )


def point_flags(point: Point, way: Way, recompute: Recompute) -> dict[str, ArgValue]:
    """The flags that make a way's configuration this job."""
    grid = point.grid
    sizes = {"TP": grid.tp, "CP": grid.cp, "EP": grid.ep, "ETP": grid.etp, "MBS": point.micro}
    flags: dict[str, ArgValue] = {FLAG_OF_SETTING[name]: str(size) for name, size in sizes.items()}
    if grid.tp > 1:
        flags["--sequence-parallel"] = True
    split = point.split
    return {**flags, **split_flags(split.pp, split.vpp, split.layout), **added_flags(way.resolved, recompute)}


def point_settings(point: Point, way: Way) -> dict[str, str]:
    """The settings that say the same; what a preset says of uneven stages is unset."""
    grid, split = point.grid, point.split
    sizes = {"TP": grid.tp, "CP": grid.cp, "PP": grid.pp, "EP": grid.ep, "ETP": grid.etp, "MBS": point.micro}
    settings = {name: str(size) for name, size in sizes.items()}
    if split.layout:
        return {**settings, "PP_LAYOUT": split.layout, **way.settings}
    preset = [name for name in UNEVEN if any(entry.value for entry in way.resolved.origins.get(name, ()))]
    return {**settings, "VPP": str(split.vpp), **dict.fromkeys(preset, ""), **way.settings}


def space(resolve: Resolve, gpu: Gpu, fixed: Mapping[str, str]) -> Space:
    """The space that the user left open: `fixed` are the settings of AXES that were typed.

    ConfigError where no way to run the model can be, whatever the mapping.
    """
    base = base_of(resolve)
    args, ranks, job = base.megatron_args, world_size(base), job_of(base)
    chosen = {name: int(value) for name, value in fixed.items() if name in WHOLE}
    _refuse_fixed(base, gpu, chosen)
    cuts = _cuts(base, job, gpu, chosen)
    if not cuts:
        raise ConfigError(_no_cut(job, ranks, chosen))
    roomiest = max((split for found in cuts.values() for split in found), key=lambda split: (split.vpp > 1, split.pp))
    found, refused = ways(resolve, gpu, roomiest, fixed)
    if not found:
        raise ConfigError([str(violation) for violation in refused])
    return Space(
        base=base,
        gpu=gpu,
        world_size=ranks,
        batch=job.batch,
        networks={tp: _padded(job.arch, args, tp) for tp in _tps(base, gpu, chosen)},
        cps=_only(chosen, "CP", _cps(job.batch.seq_len)),
        splits=cuts,
        eps=_only(chosen, "EP", divisors(_experts(job.arch))),
        etps=(chosen["ETP"],) if "ETP" in chosen else (),
        micros=_only(chosen, "MBS", MICRO_BATCHES),
        ways=tuple(found),
    )


def _refuse_fixed(base: Resolved, gpu: Gpu, chosen: Mapping[str, int]) -> None:
    """Sizes that were typed and fit no mapping."""
    flags: dict[str, ArgValue] = {FLAG_OF_SETTING[name]: str(size) for name, size in chosen.items() if name != "VPP"}
    if chosen.get("TP", 1) > 1:
        flags["--sequence-parallel"] = True
    rules = {*RULES_OF_SIZES, *(RULES_OF_REPLICAS if {"TP", "CP", "PP"} <= chosen.keys() else ())}
    found = [it for it in violations_of(with_flags(base, flags), gpu) if it.rule in rules]
    if found:
        raise ConfigError([f"command line: {violation}" for violation in found])


def _no_cut(job: Training, ranks: int, chosen: Mapping[str, int]) -> str:
    """Why no pipeline can be built."""
    said = " ".join(f"{name}={chosen[name]}" for name in ("PP", "VPP") if name in chosen)
    divide = [pp for pp in divisors(ranks) if pp <= len(job.arch.layers)]
    return (
        f"command line: {said} splits {len(job.arch.layers)} layers on {ranks} GPUs in no way that Megatron takes;"
        f" PP that divides the GPUs: {listed(divide)}, with PP·VPP of at most {len(job.arch.layers)}"
    )


def _only(chosen: Mapping[str, int], name: str, values: Sequence[int]) -> tuple[int, ...]:
    """What the user typed, or else all values."""
    return (chosen[name],) if name in chosen else tuple(values)


def _powers(most: int) -> list[int]:
    return [1 << exponent for exponent in range(most.bit_length())]


def _tps(base: Resolved, gpu: Gpu, chosen: Mapping[str, int]) -> Iterator[int]:
    """Sizes that divide whatever TP splits, by Megatron's own rules."""
    for tp in _only(chosen, "TP", _powers(min(MOST_TP, gpu.nvlink_domain, world_size(base)))):
        flags: dict[str, ArgValue] = {FLAG_OF_SETTING["TP"]: str(tp)}
        found = violations_of(with_flags(base, flags), gpu)
        if not any(violation.rule == "tensor-parallel" for violation in found):
            yield tp


def _cps(seq_len: int) -> list[int]:
    most = max(1, seq_len // LEAST_TOKENS_OF_A_RANK)
    return [cp for cp in _powers(most) if cp == 1 or seq_len % (2 * cp) == 0]


def _cuts(base: Resolved, job: Training, gpu: Gpu, chosen: Mapping[str, int]) -> dict[int, tuple[Split, ...]]:
    """Splits by PP, as far as Megatron takes them: early releases have no layouts."""
    found: dict[int, tuple[Split, ...]] = {}
    for pp in _only(chosen, "PP", divisors(job.parallel.world_size)):
        if pp > len(job.arch.layers):
            break
        cuts = [split for split in splits(job.arch, pp) if split.vpp == chosen.get("VPP", split.vpp)]
        legal = tuple(split for split in cuts if not _uncut(base, split, gpu))
        if legal:
            found[pp] = legal
    return found


def _uncut(base: Resolved, split: Split, gpu: Gpu) -> bool:
    flags = split_flags(split.pp, split.vpp, split.layout)
    return any(found.rule.startswith("pipeline") for found in violations_of(with_flags(base, flags), gpu))


def _experts(arch: ModelArch) -> int:
    return max((layer.ffn.experts for layer in arch.layers if isinstance(layer.ffn, MoE)), default=1)


def _padded(arch: ModelArch, args: MegatronArgs, tp: int) -> ModelArch:
    flags = MegatronArgs({**args, FLAG_OF_SETTING["TP"]: str(tp)})
    return replace(arch, padded_vocab_size=padded_vocab_size(flags))
