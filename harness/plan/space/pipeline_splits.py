"""How a network is split into pipeline stages: evenly, or by a balanced layout."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.arch.model import ModelArch
from harness.arch.moe import Dense
from harness.arch.stages import Pipeline, pipeline
from harness.config.balanced_layout import balanced_layout
from harness.config.megatron_args import ArgValue, MegatronArgs

PP, VPP, LAYOUT = (
    "--pipeline-model-parallel-size",
    "--num-virtual-stages-per-pipeline-rank",
    "--pipeline-model-parallel-layout",
)


@dataclass(frozen=True, kw_only=True)
class PipelineSplit:
    """PP ranks of VPP virtual stages; `layout` is `--pipeline-model-parallel-layout`, empty where all are alike."""

    pp: int
    vpp: int
    layout: str
    pipeline: Pipeline


def pipeline_splits(arch: ModelArch, pp: int) -> Iterator[PipelineSplit]:
    """Each number of virtual stages that makes the longest stage shorter than the one before did."""
    longest = len(arch.layers) + 1
    for vpp in range(1, len(arch.layers) // pp + 1 if pp > 1 else 2):
        found = _split(arch, pp, vpp)
        if found is None:
            continue
        now = max(len(stage.layers) for stages in found.pipeline for stage in stages)
        if now < longest:
            longest = now
            yield found


def split_flags(pp: int, vpp: int, layout: str) -> dict[str, ArgValue]:
    """The flags that ask for it."""
    flags: dict[str, ArgValue] = {PP: str(pp)}
    if layout:
        flags[LAYOUT] = layout
    elif vpp > 1:
        flags[VPP] = str(vpp)
    return flags


def _split(arch: ModelArch, pp: int, vpp: int) -> PipelineSplit | None:
    """Evenly where that comes out whole and there are no MTP modules, which would stand beside the last layers."""
    layers, layout = len(arch.layers), ""
    if pp > 1 and (layers % (pp * vpp) or arch.mtp_layers):
        dense = sum(isinstance(layer.ffn, Dense) for layer in arch.layers)
        try:
            layout = balanced_layout(layers, pp * vpp, dense_layers=dense, mtp_layers=arch.mtp_layers)
        except ValueError:  # more stages than there is to fill them
            return None
    network: dict[str, ArgValue] = {"--num-layers": str(layers), "--mtp-num-layers": str(arch.mtp_layers)}
    args = MegatronArgs({**network, **split_flags(pp, vpp, layout)})
    return PipelineSplit(pp=pp, vpp=vpp, layout=layout, pipeline=pipeline(args))
