"""CUDA graphs beside recomputed activations: which release captures what (TransformerConfig)."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.cost.cuda_graphs import CudaGraphs, cuda_graphs, written_modules
from harness.cost.recompute_flags import granularity, recomputed_modules
from harness.plan.constraints.graphs import IMPL
from harness.plan.violation import Case, Violation, refused

GRANULARITY, MODULES = "--recompute-granularity", "--recompute-modules"
DROPOUT = 0.1  # Megatron's default, of attention and of hidden states
ATTENTION_ALONE = Release(0, 15)  # the one release that recomputes beside captured attention, and beside nothing else
ANY_MODULE = Release(0, 16)


def graphs_and_recompute(case: Case) -> Iterator[Violation]:
    """Captured and recomputed parts contain each other, or are apart."""
    graphs, kind = cuda_graphs(case.args, case.release), granularity(case.args)
    if not graphs.on or not kind:
        return
    if case.release >= ANY_MODULE:
        yield from _any_module(case, graphs, kind)
    elif case.release == ATTENTION_ALONE:
        yield from _attention_alone(case, graphs, kind)
    elif case.args.switch("--enable-cuda-graph") or kind == "full":
        yield _refused("recomputation", "without, before Megatron 0.15", GRANULARITY)


def _any_module(case: Case, graphs: CudaGraphs, kind: str) -> Iterator[Violation]:
    if kind == "full":
        if graphs.implementation != "full_iteration":
            yield _refused("whole layers recomputed", "selective recomputation", GRANULARITY)
        return
    again = recomputed_modules(case.args)
    router = graphs.implementation == "transformer_engine" and "moe_router" in graphs.modules
    if router and "moe" in again:
        yield _refused("moe recomputed around a captured moe_router", "other modules", MODULES)
    yield from _noise(case, graphs, again)


def _noise(case: Case, graphs: CudaGraphs, again: frozenset[str]) -> Iterator[Violation]:
    """What is captured and recomputed may not draw random numbers."""
    args, jitter = case.args, "--moe-input-jitter-eps"
    experts = "moe" in again and graphs.hold("moe")
    noises = {
        "--attention-dropout": "core_attn" in again and graphs.hold("attn"),
        "--hidden-dropout": experts or ("mlp" in again and graphs.hold("mlp")),
        jitter: experts,
    }
    for flag, inside in noises.items():
        drawn = flag in args if flag == jitter else args.number(flag, DROPOUT) != 0
        if inside and drawn:
            fix = f"leave {flag} out" if flag == jitter else f"{flag} 0"
            found, allowed = f"{flag} where a CUDA graph holds what is recomputed", "no random numbers there"
            yield refused("cuda-graphs", found, allowed, f"{fix}, or recompute nothing of it", flag, IMPL)


def _attention_alone(case: Case, graphs: CudaGraphs, kind: str) -> Iterator[Violation]:
    attention = graphs.implementation == "transformer_engine" and written_modules(case.args) == ["attn"]
    if kind != "selective" or not attention:
        allowed = "transformer_engine with --cuda-graph-scope attn in Megatron 0.15, and selective recomputation"
        yield _refused("recomputation", allowed, GRANULARITY, "--cuda-graph-scope")
    elif inside := sorted(recomputed_modules(case.args) & {"core_attn", "mla_up_proj"}):
        yield _refused(f"{' '.join(inside)} recomputed in captured attention", "other modules", MODULES)


def _refused(found: str, allowed: str, *about: str) -> Violation:
    fix = f"{about[0]} as allowed, or leave CUDA graphs out"
    return refused("cuda-graphs", f"CUDA graphs with {found}", allowed, fix, *about, IMPL)
