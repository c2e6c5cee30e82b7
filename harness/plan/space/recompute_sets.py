"""What a search may recompute: a stated list of sets, each as the cost model and as Megatron's flags know it."""

from collections.abc import Iterator, Mapping

from harness.arch.attention import MLA
from harness.arch.model import ModelArch
from harness.arch.moe import MoE
from harness.config.megatron_args import ArgValue
from harness.cost.training import Recompute

GRANULARITY, MODULES = "--recompute-granularity", "--recompute-modules"
METHOD, NUMBER = "--recompute-method", "--recompute-num-layers"
FLAGS = (GRANULARITY, MODULES, METHOD, NUMBER)

SELECTIVE = (
    ("moe_act",),
    ("mla_up_proj",),
    ("layernorm", "moe_act"),
    ("mla_up_proj", "mlp"),
    ("mla_up_proj", "moe_act"),
    ("layernorm", "mla_up_proj", "moe_act"),
    ("layernorm", "mla_up_proj", "mlp", "moe_act"),
    ("layernorm", "moe"),
    ("layernorm", "mla_up_proj", "moe"),
)
"""Those that published runs use, and what lies between; a set with a module that the model lacks is left out."""


def recompute_sets(arch: ModelArch) -> Iterator[Recompute]:
    """Nothing, each selective set of modules that the network has, and everything."""
    yield Recompute()
    kinds = set(arch.layers)
    here = {"layernorm"}
    if any(isinstance(layer.attention, MLA) for layer in kinds):
        here.add("mla_up_proj")
    if any(isinstance(layer.ffn, MoE) for layer in kinds):
        here |= {"moe", "moe_act"}
    if not all(isinstance(layer.ffn, MoE) for layer in kinds):
        here.add("mlp")
    for modules in SELECTIVE:
        if here.issuperset(modules):
            yield Recompute(granularity="selective", modules=frozenset(modules))
    yield Recompute(granularity="full")


def recompute_flags(chosen: Recompute) -> Mapping[str, ArgValue]:
    """The flags that ask for it; full recomputation layer by layer."""
    if chosen.granularity == "none":
        return {}
    if chosen.granularity == "full":
        return {GRANULARITY: "full", METHOD: "uniform", NUMBER: "1"}
    return {GRANULARITY: "selective", MODULES: tuple(sorted(chosen.modules))}


def show_recompute(chosen: Recompute) -> str:
    """`none`, `layernorm moe_act`, `full`."""
    return " ".join(sorted(chosen.modules)) if chosen.granularity == "selective" else chosen.granularity
