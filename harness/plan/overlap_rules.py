"""Overlapping the experts' all-to-all with computation, and putting weight gradients off to fill the gaps."""

from collections.abc import Iterator

from harness.plan.cuda_graphs import MODULES, SCOPE, cuda_graphs, written_modules
from harness.plan.recompute import asked_granularity, recomputed_modules
from harness.plan.violation import Case, Violation, names, needs_te, refused

OVERLAP = "--overlap-moe-expert-parallel-comm"
DELAY = "--delay-wgrad-compute"
DISPATCH_OVERLAP = "--overlap-dispatch-backward-with-experts-wgrad"
EARLY_RELEASE = "--ep-overlap-early-attn-memory-release"
FULL_RECOMPUTE = ("--recompute-method", "--recompute-num-layers")
WHOLE_MLP_GRAPHS = {"moe", "mlp"}

OVERLAP_OF_DELAYED = (0, 14)  # first release in which only the overlapped schedule puts weight gradients off
CHECKS_GRAPHS = (0, 16)
MTP_WANTS_PIPELINE = ((0, 16), (0, 17))
CHECKS_MOE_RECOMPUTE = (0, 17)
LOCAL_GRAPHS = (0, 18)
TAKES_ZERO_MTP = (0, 19)
CAPTURES_DELAYED = (0, 16)
CHECKS_CAPTURED = (0, 17)


def expert_overlap(case: Case) -> Iterator[Violation]:
    """The schedule runs one micro-batch's forward beside another's backward, layer by layer (TransformerConfig)."""
    if case.args.switch(OVERLAP):
        for limits in (_mapping, _layers, _recompute, _prediction, _graphs):
            yield from limits(case)
    elif case.args.switch(EARLY_RELEASE):
        yield Violation(
            rule="expert-overlap",
            message=f"{EARLY_RELEASE} without {OVERLAP}",
            fix=f"add {OVERLAP}, or leave {EARLY_RELEASE} out",
            names=(EARLY_RELEASE, OVERLAP),
        )


def _mapping(case: Case) -> Iterator[Violation]:
    par = case.parallel
    if par.pp > 1 and par.vpp == 1:
        yield _refused(f"PP={par.pp} and VPP=1", "VPP of 2 or more, or PP=1", "VPP=2 or more", "VPP", "PP")
    if par.ep == 1:
        yield _refused("EP=1", "EP of 2 or more", "EP=2 or more", "EP")


def _layers(case: Case) -> Iterator[Violation]:
    args, kind = case.args, case.args.text("--moe-token-dispatcher-type", "allgather")
    if kind not in {"alltoall", "flex"}:
        fix = "MOE_TOKEN_DISPATCHER=alltoall"
        yield _refused(f"the {kind} dispatcher", "alltoall, flex", fix, "MOE_TOKEN_DISPATCHER")
    if args.switch("--moe-shared-expert-overlap"):
        flag = "--moe-shared-expert-overlap"
        yield _refused(flag, "one of the two", f"leave {flag} out", flag)
    if not (args.switch("--bf16") or args.switch("--fp16")):
        yield _refused("fp32", "bf16, fp16", "PR=bf16", "PR", "--bf16")


def _recompute(case: Case) -> Iterator[Violation]:
    """A layer that is recomputed as a whole, or its MoE part, leaves nothing to run beside."""
    args = case.args
    found = [f"{flag} {args.text(flag)}" for flag in FULL_RECOMPUTE if flag in args]
    if asked_granularity(args) == "full":
        found.insert(0, "--recompute-granularity full")
    if found:
        fix = "--recompute-granularity selective, without --recompute-method and --recompute-num-layers"
        about = ("--recompute-granularity", *FULL_RECOMPUTE)
        yield _refused(", ".join(found), "--recompute-granularity selective", fix, *about)
    if "moe" in recomputed_modules(args) and case.release >= CHECKS_MOE_RECOMPUTE:
        fix = "leave moe out of --recompute-modules"
        yield _refused(
            "recomputed MoE layers", "other --recompute-modules", fix, "--recompute-modules", "--moe-layer-recompute"
        )


def _prediction(case: Case) -> Iterator[Violation]:
    flag, depth = "--mtp-num-layers", case.args.integer("--mtp-num-layers", 1)
    if depth > 1 or (depth == 0 and case.release < TAKES_ZERO_MTP):
        yield _refused(f"{flag} {depth}", "1", f"{flag} 1", flag)
    if case.args.integer(flag) == 1 and case.parallel.pp == 1 and case.release in MTP_WANTS_PIPELINE:
        fix = f"PP=2 or more, leave {flag} out"
        yield _refused(f"{flag} 1 and PP=1", "PP of 2 or more", fix, "PP", flag)


def _graphs(case: Case) -> Iterator[Violation]:
    """CUDA graphs that hold a whole MLP hold its communication too."""
    graphs = cuda_graphs(case.args, case.release)
    if not graphs.on or case.release < CHECKS_GRAPHS:
        return
    if graphs.implementation != "transformer_engine":
        if case.release < LOCAL_GRAPHS:
            found, fix = f"--cuda-graph-impl {graphs.implementation}", "--cuda-graph-impl transformer_engine"
            yield _refused(found, "transformer_engine", fix, "--cuda-graph-impl")
        return
    whole = " ".join(sorted(WHOLE_MLP_GRAPHS & graphs.modules))
    if whole:
        flag = MODULES if MODULES in case.args else SCOPE
        yield _refused(f"{flag} {whole}", "parts without communication, such as attn", f"leave {whole} out", flag)


def _refused(found: str, allowed: str, fix: str, *about: str) -> Violation:
    return Violation(
        rule="expert-overlap",
        message=f"{OVERLAP} with {found}; allowed: {allowed}",
        fix=f"{fix}, or leave {OVERLAP} out",
        names=names(*about, "A2A_OVERLAP", OVERLAP),
    )


def delayed_wgrad(case: Case) -> Iterator[Violation]:
    """Weight gradients wait for the overlapped schedule to call them, in Transformer Engine (validate_args)."""
    args, kind = case.args, case.args.text("--transformer-impl", "transformer_engine")
    if not args.switch(DELAY):
        return
    if case.release >= OVERLAP_OF_DELAYED and not args.switch(OVERLAP):
        yield _delay_refused(f"without {OVERLAP}", "with it", f"add {OVERLAP}", OVERLAP)
    if kind != "transformer_engine":
        fix = "--transformer-impl transformer_engine"
        yield _delay_refused(f"with --transformer-impl {kind}", "transformer_engine", fix, "--transformer-impl")
    if args.switch("--moe-use-legacy-grouped-gemm"):
        flag = "--moe-use-legacy-grouped-gemm"
        yield _delay_refused(f"with {flag}", "one of the two", f"leave {flag} out", flag)
    yield from _reduced_while_delayed(case)


def captured_wgrad(case: Case) -> Iterator[Violation]:
    """Delayed weight gradients of captured parts (validate_args, TransformerConfig)."""
    args, graphs = case.args, cuda_graphs(case.args, case.release)
    if not args.switch(DELAY):
        return
    if graphs.implementation == "transformer_engine" and case.release >= CAPTURES_DELAYED and case.older_te(2, 10):
        yield needs_te("delayed-wgrad", f"{DELAY} with CUDA graphs", "2.10", "TE_VERSION", DELAY)
    if args.switch("--overlap-grad-reduce") and case.release >= CHECKS_CAPTURED and _captures_weights(case):
        yield from _captured_and_reduced(case)


def _captures_weights(case: Case) -> bool:
    """Whether attention or shared experts are named; shared experts run beside the router unless overlapped."""
    named, shared = written_modules(case.args), "--moe-shared-expert-intermediate-size" in case.args
    beside = shared and not case.args.switch("--moe-shared-expert-overlap")
    return "attn" in named or ("moe_router" in named and beside)


def _captured_and_reduced(case: Case) -> Iterator[Violation]:
    args, unfused = case.args, "--no-gradient-accumulation-fusion"
    if case.older_te(2, 12):
        found = f"{DELAY} and --overlap-grad-reduce with captured weights"
        yield needs_te("delayed-wgrad", found, "2.12", "TE_VERSION", DELAY)
    if args.switch(unfused):
        yield _delay_refused(f"of captured weights with {unfused}", "without", f"leave {unfused} out", unfused)
    biased = not args.switch("--disable-bias-linear") or args.switch("--add-qkv-bias")
    if "attn" in written_modules(args) and biased:
        fix = "leave attn out of the CUDA graphs"
        yield _delay_refused("of captured attention with biases", "--disable-bias-linear", fix, "--disable-bias-linear")


def dispatch_overlap(case: Case) -> Iterator[Violation]:
    """The other way to hide weight gradients of experts: behind the dispatch of the backward pass."""
    flag, args = DISPATCH_OVERLAP, case.args
    if not args.switch(flag):
        return
    for other in (OVERLAP, DELAY):
        if args.switch(other):
            yield refused("delayed-wgrad", f"{flag} with {other}", "one of the two", f"leave {flag} out", flag, other)
    if case.older_te(2, 3):
        yield needs_te("delayed-wgrad", flag, "2.3", "TE_VERSION", flag)


def _reduced_while_delayed(case: Case) -> Iterator[Violation]:
    """Transformer Engine tells a delayed gradient's end only since 2.7; Megatron wants 2.8 of it since 0.15."""
    reduce, no_fusion = "--overlap-grad-reduce", "--no-gradient-accumulation-fusion"
    if case.release < OVERLAP_OF_DELAYED:
        if case.args.switch(reduce):
            yield _delay_refused(f"with {reduce}", "one of the two", f"leave {reduce} out", reduce)
        return
    least_of = {reduce: (2, 7) if case.release == OVERLAP_OF_DELAYED else (2, 8), no_fusion: (2, 7)}
    for flag, least in least_of.items():
        if case.te is not None and case.older_te(*least) and case.args.switch(flag):
            found, wanted = (".".join(map(str, version)) for version in (case.te, least))
            yield _delay_refused(
                f"with {flag} on Transformer Engine {found}",
                f"Transformer Engine {wanted} or later",
                f"an image with Transformer Engine {wanted}",
                "TE_VERSION",
                flag,
            )


def _delay_refused(found: str, allowed: str, fix: str, *about: str) -> Violation:
    return Violation(
        rule="delayed-wgrad",
        message=f"{DELAY} {found}; allowed: {allowed}",
        fix=f"{fix}, or leave {DELAY} out",
        names=names(*about, DELAY),
    )
