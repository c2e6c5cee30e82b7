"""CUDA graphs: who captures them, and what they hold."""

from typing import NamedTuple

from harness.config.megatron_args import MegatronArgs
from harness.config.releases import Release

SCOPE, MODULES = "--cuda-graph-scope", "--cuda-graph-modules"
IMPLEMENTATION_FOR_ITERATIONS = Release(0, 18)
"""The first release in which whole iterations are an implementation of their own."""

ROUTER = frozenset({"moe_router", "moe_preprocess"})


class CudaGraphs(NamedTuple):
    """`implementation` is none, local, transformer_engine or full_iteration (a whole step in one graph).

    `modules` are the captured parts of a layer; none named means whole layers.
    """

    implementation: str
    modules: frozenset[str]

    @property
    def on(self) -> bool:
        """Whether anything is captured."""
        return self.implementation != "none"

    def hold(self, *modules: str) -> bool:
        """Whether one of these parts is captured, by name or with its whole layer."""
        whole = self.implementation == "full_iteration" or not self.modules
        return self.on and (whole or bool(self.modules.intersection(modules)))


def written_modules(args: MegatronArgs) -> list[str]:
    """What stands after `--cuda-graph-modules`, or after its older name."""
    return (args.text(MODULES) or args.text(SCOPE)).split()


def asked_implementation(args: MegatronArgs) -> str:
    """Who captures; the two old switches are local's and Transformer Engine's (validate_args)."""
    kind = args.text("--cuda-graph-impl", "none")
    old = {"--enable-cuda-graph": "local", "--external-cuda-graph": "transformer_engine"}
    return next((value for flag, value in old.items() if kind == "none" and args.switch(flag)), kind)


def cuda_graphs(args: MegatronArgs, release: Release) -> CudaGraphs:
    """What the flags of a release ask for, old words translated as Megatron does."""
    kind, words = asked_implementation(args), set(written_modules(args))
    if "full_iteration" in words and (kind == "local" or (kind == "none" and release >= IMPLEMENTATION_FOR_ITERATIONS)):
        kind = "full_iteration"
    modules = frozenset(words - {"full", "full_iteration", "full_iteration_inference"})
    return CudaGraphs(
        implementation=kind, modules=modules | ROUTER if kind == "local" and modules & ROUTER else modules
    )
