"""CUDA graphs: which parts can be captured, and what cannot be inside (TransformerConfig, validate_args)."""

from collections.abc import Iterator

from harness.arch.model import moe_layers
from harness.config.releases import Release
from harness.cost.cuda_graphs import (
    MODULES,
    SCOPE,
    asked_implementation,
    cuda_graphs,
    written_modules,
)
from harness.errors import ConfigError
from harness.plan.violation import Case, Violation, refused

IMPL = "--cuda-graph-impl"
NAN_CHECK = "--no-check-for-nan-in-loss-and-grad"
OF_ITERATIONS = ("full_iteration", "full_iteration_inference")

MODULES_SINCE = Release(0, 16)  # first release that captures parts other than attention
ITERATIONS_SINCE = Release(0, 14)
ONE_WORD = Release(0, 18)  # first release in which the old words exclude each other
PADDED_EXPERTS = (Release(0, 16), Release(0, 17))


def capture_options(case: Case) -> Iterator[Violation]:
    """Graphs are asked for in one way (validate_args)."""
    args, impl = case.args, case.args.text(IMPL, "none")
    old = [flag for flag in ("--enable-cuda-graph", "--external-cuda-graph") if args.switch(flag)]
    if old and (len(old) > 1 or impl != "none"):
        both = [*old, *([IMPL] if impl != "none" else [])]
        yield refused("cuda-graphs", " with ".join(both), "one of them", f"keep {both[-1]}", *both)
    if SCOPE in args and MODULES in args:
        yield refused("cuda-graphs", f"{SCOPE} with {MODULES}", "one of the two", f"leave {SCOPE} out", SCOPE, MODULES)
    written = written_modules(args)
    if "full" in written and len(written) > 1:
        yield _modules(case, " ".join(written), "full alone, or parts", "leave full out")
    if case.release >= ONE_WORD:
        yield from _whole_iterations(case, [word for word in OF_ITERATIONS if word in written])


def _whole_iterations(case: Case, words: list[str]) -> Iterator[Violation]:
    """What was once a module is an implementation of its own, and has no modules."""
    asked, graphs = asked_implementation(case.args), cuda_graphs(case.args, case.release)
    allowed = {"none", "local", "full_iteration"} if words == ["full_iteration"] else {"none", "local"}
    if len(words) > 1:
        yield _modules(case, " ".join(words), "one of them", f"{IMPL} full_iteration")
    elif words and asked not in allowed:
        yield _modules(case, f"{words[0]} with {IMPL} {asked}", "local", f"leave {words[0]} out")
    elif graphs.implementation == "full_iteration" and graphs.modules:
        yield _modules(case, f"{' '.join(sorted(graphs.modules))} with a whole iteration", "none", "leave them out")


def iterations(case: Case) -> Iterator[Violation]:
    """A whole step in one graph cannot look at its loss (validate_args); fp16's dynamic scale does without looking."""
    args = case.args
    if case.release < ITERATIONS_SINCE or cuda_graphs(args, case.release).implementation != "full_iteration":
        return
    unlooked = args.switch("--fp16") and not args.number("--loss-scale")
    if not args.switch(NAN_CHECK) and not unlooked:
        yield refused("cuda-graphs", f"a whole iteration without {NAN_CHECK}", "with it", f"add {NAN_CHECK}", IMPL)


def modules(case: Case) -> Iterator[Violation]:
    """Parts that the model has, and whose shapes do not depend on the routing."""
    graphs = cuda_graphs(case.args, case.release)
    if case.release < MODULES_SINCE or graphs.implementation not in {"local", "transformer_engine"}:
        return
    chosen = graphs.modules
    if {"moe", "moe_router"} <= chosen:
        yield _modules(case, "moe and moe_router", "one of the two", "leave moe_router out")
    if "moe_preprocess" in chosen and "moe_router" not in chosen:
        yield _modules(case, "moe_preprocess without moe_router", "with it", "add moe_router")
    if case.experts > 1:
        yield from _moe_modules(case, chosen)
    elif mixture := sorted(chosen & {"moe", "moe_router"}):
        yield _modules(case, f"{' '.join(mixture)} without experts", "attn, mlp", f"leave {' '.join(mixture)} out")


def _moe_modules(case: Case, chosen: frozenset[str]) -> Iterator[Violation]:
    args = case.args
    capacity = args.number("--moe-expert-capacity-factor", -1) >= 0
    if "mlp" in chosen and _all_moe(case):
        yield _modules(case, "mlp in a model whose layers are all MoE", "parts that it has", "leave mlp out")
    if capacity and args.switch("--moe-pad-expert-input-to-capacity"):
        return
    if "moe" in chosen:
        fix = "add --moe-expert-capacity-factor and --moe-pad-expert-input-to-capacity, or leave moe out"
        yield _modules(case, "moe with dropless routing", "with experts padded to a capacity", fix)
    copies = capacity or args.switch("--moe-router-padding-for-fp8")
    if "moe_preprocess" in chosen and case.dispatcher == "alltoall" and copies:
        found = "moe_preprocess with the alltoall dispatcher, which waits for the numbers of tokens"
        yield _modules(case, found, "without a capacity factor and --moe-router-padding-for-fp8", "leave it out")


def _all_moe(case: Case) -> bool:
    try:
        return all(moe_layers(case.args))
    except ConfigError:
        return False  # a violation of its own


def inference_padding(case: Case) -> Iterator[Violation]:
    """Two releases capture inference as well, whose experts must then be padded (validate_args)."""
    flag, graphs = "--moe-pad-experts-for-cuda-graph-inference", cuda_graphs(case.args, case.release)
    local = graphs.implementation in {"local", "full_iteration"}
    if case.release in PADDED_EXPERTS and local and case.parallel.ep > 1 and not case.args.switch(flag):
        found = f"{IMPL} local with EP={case.parallel.ep} and without {flag}"
        yield refused("cuda-graphs", found, "with it, in Megatron 0.16 and 0.17", f"add {flag}", IMPL, "EP")


def environment(case: Case) -> Iterator[Violation]:
    """Graphs and PyTorch's growing memory segments do not agree on addresses (validate_args)."""
    if case.env is None or cuda_graphs(case.args, case.release).implementation != "transformer_engine":
        return
    growing = "expandable_segments:True" in case.env.get("PYTORCH_CUDA_ALLOC_CONF", "")
    unregistered = case.release >= MODULES_SINCE and case.env.get("NCCL_GRAPH_REGISTER") == "0"
    if growing and not unregistered and case.release >= ITERATIONS_SINCE:
        found = f"{IMPL} transformer_engine with PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"
        fix = "NCCL_GRAPH_REGISTER=0" if case.release >= MODULES_SINCE else "leave expandable_segments out"
        yield refused("cuda-graphs", found, f"with {fix}", fix, "PYTORCH_CUDA_ALLOC_CONF", IMPL)


def _modules(case: Case, found: str, allowed: str, fix: str) -> Violation:
    flag = MODULES if MODULES in case.args else SCOPE
    return refused("cuda-graphs", f"{flag} {found}", allowed, fix, flag, IMPL)
