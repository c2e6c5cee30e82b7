"""One mapping of a search, and how it is asked for: as flags and as settings."""

from typing import NamedTuple

from harness.config.megatron_args import ArgValue
from harness.config.setting_flags import FLAG_OF_SETTING
from harness.cost.training import Recompute
from harness.plan.space.execution_options import ExecutionOption, added_flags
from harness.plan.space.pipeline_splits import PipelineSplit, split_flags
from harness.plan.space.settings import UNEVEN


class Grid(NamedTuple):
    """Both grids that cut the ranks: TP·CP·PP·DP and ETP·EP·PP·EDP."""

    tp: int
    cp: int
    pp: int
    ep: int
    etp: int


class SpacePoint(NamedTuple):
    """A mapping and its batch: all but how tokens travel and what is recomputed."""

    grid: Grid
    split: PipelineSplit
    micro: int
    microbatches: int


def point_flags(point: SpacePoint, option: ExecutionOption, recompute: Recompute) -> dict[str, ArgValue]:
    """The flags that make an option's configuration this job."""
    grid = point.grid
    sizes = {"TP": grid.tp, "CP": grid.cp, "EP": grid.ep, "ETP": grid.etp, "MBS": point.micro}
    flags: dict[str, ArgValue] = {FLAG_OF_SETTING[name]: str(size) for name, size in sizes.items()}
    if grid.tp > 1:
        flags["--sequence-parallel"] = True
    split = point.split
    return {**flags, **split_flags(split.pp, split.vpp, split.layout), **added_flags(option.resolved, recompute)}


def point_settings(point: SpacePoint, option: ExecutionOption) -> dict[str, str]:
    """The settings that say the same; what a preset says of uneven stages is unset."""
    grid, split = point.grid, point.split
    sizes = {"TP": grid.tp, "CP": grid.cp, "PP": grid.pp, "EP": grid.ep, "ETP": grid.etp, "MBS": point.micro}
    settings = {name: str(size) for name, size in sizes.items()}
    if split.layout:
        return {**settings, "PP_LAYOUT": split.layout, **option.settings}
    preset = [name for name in UNEVEN if any(entry.value for entry in option.resolved.origins.get(name, ()))]
    return {**settings, "VPP": str(split.vpp), **dict.fromkeys(preset, ""), **option.settings}
