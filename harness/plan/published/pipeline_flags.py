"""How a job's layers were split over its pipeline, as far as it is known."""

from collections.abc import Mapping
from typing import NamedTuple

from harness.arch.layout import layout_problems, layout_stages
from harness.arch.model import model_arch
from harness.arch.moe import Dense
from harness.arch.parallel import parallel
from harness.config.balanced_layout import balanced_layout
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.plan.published.facts import Facts

LAYOUT = "--pipeline-model-parallel-layout"
ENDS = {"--account-for-embedding-in-pipeline-split": True, "--account-for-loss-in-pipeline-split": True}


class PipelineFlags(NamedTuple):
    """Flags that split the layers, and what was assumed for it."""

    flags: Mapping[str, ArgValue]
    assumed: tuple[str, ...] = ()


def pipeline_flags(flags: Mapping[str, ArgValue], vpp: int, facts: Facts) -> PipelineFlags:
    """The split of a job over PP·`vpp` stages: as stated, else even, else balanced as well as a layout can.

    ValueError where there are more stages than layers to fill them.
    """
    args = MegatronArgs(flags)
    pp = parallel(args, 1).pp
    stages = pp * vpp if pp > 1 else 1  # nothing is interleaved without a pipeline
    if stages == 1:
        return PipelineFlags(flags={})
    virtual: dict[str, ArgValue] = {"--num-virtual-stages-per-pipeline-rank": str(vpp)} if vpp > 1 else {}
    layers, mtp = args.integer("--num-layers"), args.integer("--mtp-num-layers")
    if facts.layout == "ends" and (layers + 2) % stages == 0:
        return PipelineFlags(flags={**virtual, **ENDS})
    if facts.layout not in (None, "ends"):
        layout = facts.layout if mtp else facts.layout.replace("m", "")
        fits = not layout_problems(layout, pp=pp, num_layers=layers, mtp_layers=mtp)
        if fits and len(layout_stages(layout)) == stages:
            return PipelineFlags(flags={LAYOUT: layout})
    if layers % stages == 0 and not mtp:
        return PipelineFlags(flags=virtual)
    return _balanced(args, stages)


def _balanced(args: MegatronArgs, stages: int) -> PipelineFlags:
    arch = model_arch(args)
    dense = sum(isinstance(layer.ffn, Dense) for layer in arch.layers)
    layout = balanced_layout(len(arch.layers), stages, dense_layers=dense, mtp_layers=arch.mtp_layers)
    return PipelineFlags(flags={LAYOUT: layout}, assumed=(f"layers over {stages} stages as {layout}",))
