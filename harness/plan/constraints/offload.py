"""Activations that wait in host memory: whole layers, or the inputs of named modules."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.cost.cuda_graphs import cuda_graphs
from harness.cost.recompute_flags import asked_granularity, granularity, recomputed_modules
from harness.plan.violation import Case, Violation, refused

LAYERS = "--cpu-offloading-num-layers"
FINE, MODULES = "--fine-grained-activation-offloading", "--offload-modules"
KNOWN = ("core_attn", "attn_proj", "expert_fc1", "moe_act", "attn_norm", "mlp_norm", "qkv_linear")
FUSED, FUSED_SINCE = "fused_group_mlp", Release(0, 19)
INSIDE_EXPERTS = frozenset({"moe_act", "expert_fc1", FUSED})
FUSER = "--use-transformer-engine-op-fuser"
ENVIRONMENT = "NVTE_CPU_OFFLOAD_V1"
FRACTION, WARMUP = "--activation-offload-fraction", "--cuda-graph-warmup-steps"
IN_FLIGHT = "--fine-grained-offloading-max-inflight-offloads"

GRAPHS_SINCE = Release(0, 18)
LOCAL_GRAPHS_SINCE = Release(0, 19)


def layers(case: Case) -> Iterator[Violation]:
    """Whole layers are offloaded on one stage, and neither recomputed nor captured (TransformerConfig)."""
    args, count = case.args, case.args.integer(LAYERS)
    if count <= 0:
        return
    most, fix = args.integer("--num-layers") - 1, f"leave {LAYERS} out"
    if count > most:
        yield refused("offload", f"{LAYERS} {count}", f"0 to {most}", fix, LAYERS, "NUM_LAYERS")
    if case.parallel.pp > 1:
        yield refused("offload", f"{LAYERS} with PP={case.parallel.pp}", "PP=1", fix, LAYERS, "PP")
    if asked_granularity(args):
        yield refused("offload", f"{LAYERS} with recomputation", "one of the two", fix, LAYERS)
    if cuda_graphs(args, case.release).implementation in {"local", "transformer_engine"}:
        yield refused("offload", f"{LAYERS} with CUDA graphs", "one of the two", fix, LAYERS, "--cuda-graph-impl")
    if args.switch(FINE):
        yield refused("offload", f"{LAYERS} with {FINE}", "one of the two", fix, LAYERS, FINE)


def modules(case: Case) -> Iterator[Violation]:
    """Inputs of named modules go to the host through Transformer Engine (validate_args, TransformerConfig)."""
    args, fix = case.args, f"leave {FINE} out"
    if not args.switch(FINE):
        return
    kind, chosen = args.text("--transformer-impl", "transformer_engine"), _chosen(case)
    if kind != "transformer_engine":
        yield refused("offload", f"{FINE} with --transformer-impl {kind}", "transformer_engine", fix, FINE)
    if case.env is not None and not case.older_te(Release(2, 10)) and case.te and case.env.get(ENVIRONMENT) != "1":
        found = f"{FINE} on Transformer Engine 2.10 or later without {ENVIRONMENT}=1"
        yield refused("offload", found, "with it", f"{ENVIRONMENT}=1", ENVIRONMENT, FINE)
    known = [*KNOWN, *([FUSED] if case.release >= FUSED_SINCE else [])]
    unknown = sorted(chosen.difference(known))
    if unknown or not chosen:
        found = f"{MODULES} {' '.join(unknown)}" if unknown else f"{FINE} without {MODULES}"
        yield refused("offload", found, ", ".join(known), f"name some of these, or {fix}", MODULES)
    if "attn_proj" in chosen and "core_attn" not in chosen:
        found = f"{MODULES} attn_proj without core_attn, which keeps its input"
        yield refused("offload", found, "both", "add core_attn", MODULES)
    yield from _inside_experts(case, chosen)


def _inside_experts(case: Case, chosen: frozenset[str]) -> Iterator[Violation]:
    args, inside = case.args, sorted(chosen & INSIDE_EXPERTS)
    again = granularity(args) == "selective" and "moe" in recomputed_modules(args)
    if inside and again and case.release >= FUSED_SINCE:
        found, fix = f"{MODULES} {' '.join(inside)} of recomputed MoE layers", "leave moe out of --recompute-modules"
        yield refused("offload", found, "one of the two", fix, MODULES, "--recompute-modules")
    if FUSED in chosen and not args.switch(FUSER):
        yield refused("offload", f"{MODULES} {FUSED} without {FUSER}", "with it", f"add {FUSER}", MODULES, FUSER)
    elif FUSED in chosen and len(inside) > 1:
        yield refused("offload", f"{MODULES} {' '.join(inside)}", f"{FUSED} alone", f"keep {FUSED}", MODULES)
    fraction = args.number(FRACTION, 1.0)
    if not 0 <= fraction <= 1:
        yield refused("offload", f"{FRACTION} {fraction:g}", "0 to 1", f"{FRACTION} 1", FRACTION)


def beside_graphs(case: Case) -> Iterator[Violation]:
    """What CUDA graphs hold cannot leave for the host between two replays (TransformerConfig)."""
    args, graphs = case.args, cuda_graphs(case.args, case.release)
    if not args.switch(FINE) or not graphs.on or case.release < GRAPHS_SINCE:
        return
    chosen = _chosen(case)
    experts_apart = chosen and chosen <= INSIDE_EXPERTS and graphs.modules and "moe" not in graphs.modules
    if graphs.implementation == "local" and not (experts_apart and case.release >= LOCAL_GRAPHS_SINCE):
        yield _graph_refused("local graphs", "transformer_engine", "--cuda-graph-impl transformer_engine")
    elif "moe" in graphs.modules:
        yield _graph_refused("captured moe", "other modules", "leave moe out of the graphs")
    if not args.integer(WARMUP, 3):
        yield _graph_refused(f"{WARMUP} 0", "1 or more", f"{WARMUP} 3")
    if graphs.implementation == "full_iteration" and args.integer(IN_FLIGHT, -1) < 0:
        yield _graph_refused(f"a captured iteration and no {IN_FLIGHT}", "with it", f"{IN_FLIGHT} 1")


def _graph_refused(found: str, allowed: str, fix: str) -> Violation:
    return refused("offload", f"{FINE} with {found}", allowed, fix, FINE, "--cuda-graph-impl")


def _chosen(case: Case) -> frozenset[str]:
    return frozenset(case.args.text(MODULES).split())
