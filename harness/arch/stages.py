"""Which layers each pipeline stage holds: what Megatron builds on a rank.

Source: `get_num_layers_to_build` and `get_transformer_layer_offset` of megatron/core/transformer/transformer_layer.py,
and pipeline_parallel_layer_layout.py, of Megatron-Core 0.19.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.arch.layout import layout_stages
from harness.arch.parallel import virtual_stages
from harness.config.megatron_args import MegatronArgs


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One virtual pipeline stage: `layers` are indices into `ModelArch.layers`, `mtp_layers` counts MTP modules."""

    layers: tuple[int, ...]
    embedding: bool = False
    mtp_layers: int = 0
    loss: bool = False

    def __hash__(self) -> int:
        """Cheap, for caches that are asked often: of where the stage begins and ends."""
        return hash((self.layers[:1], len(self.layers), self.mtp_layers, self.loss))


type Pipeline = tuple[tuple[Stage, ...], ...]
"""Pipeline[rank][virtual stage]; the plain schedule has one virtual stage a rank."""


def pipeline(args: MegatronArgs) -> Pipeline:
    """The stages that the flags ask for, as far as they divide; `check` reports where they do not."""
    pp = args.integer("--pipeline-model-parallel-size", 1)
    mtp_layers = args.integer("--mtp-num-layers")
    layout = args.text("--pipeline-model-parallel-layout")
    if layout:
        stages = list(_lettered(layout_stages(layout), mtp_layers))
    else:
        stages = split(_layers_of_stages(args, pp, virtual_stages(args)), mtp_layers=mtp_layers)
    return by_rank(stages, pp)


def split(counts: Sequence[int], *, mtp_layers: int) -> list[Stage]:
    """Stages of so many layers each, in order of the forward pass; MTP modules and loss stand in the last."""
    last, at = len(counts) - 1, 0
    stages = []
    for index, count in enumerate(counts):
        stages.append(
            Stage(
                layers=tuple(range(at, at + count)),
                embedding=index == 0,
                mtp_layers=mtp_layers if index == last else 0,
                loss=index == last,
            )
        )
        at += count
    return stages


def by_rank(stages: Sequence[Stage], pp: int) -> Pipeline:
    """Stage i is virtual stage i // PP of rank i % PP."""
    return tuple(tuple(stages[rank::pp]) for rank in range(pp))


def _layers_of_stages(args: MegatronArgs, pp: int, vpp: int) -> list[int]:
    """Layers of each virtual stage without a layout: evenly, but for PP_FIRST, PP_LAST and what counts as a layer."""
    first = args.integer("--decoder-first-pipeline-num-layers")
    last = args.integer("--decoder-last-pipeline-num-layers")
    embedding = args.switch("--account-for-embedding-in-pipeline-split")
    loss = args.switch("--account-for-loss-in-pipeline-split")
    layers = args.integer("--num-layers") + embedding + loss
    ends = [count for count in (first, last) if count]
    middle = (layers - sum(ends)) // max(1, pp - len(ends))
    of_rank = [first or middle, *[middle] * (pp - 2), last or middle] if pp > 1 else [layers]
    counts = [count // vpp for _ in range(vpp) for count in of_rank]
    counts[0] -= embedding
    counts[-1] -= loss
    return counts


def _lettered(letters: Sequence[str], mtp_layers: int) -> Iterator[Stage]:
    """A layout of a release before 0.14 names no MTP modules: they stand with the loss."""
    named = any("m" in stage for stage in letters)
    at = 0
    for stage in letters:
        count = stage.count("t")
        loss = "L" in stage
        yield Stage(
            layers=tuple(range(at, at + count)),
            embedding="E" in stage,
            mtp_layers=stage.count("m") if named else mtp_layers * loss,
            loss=loss,
        )
        at += count
