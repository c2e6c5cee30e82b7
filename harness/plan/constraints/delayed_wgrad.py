"""Weight gradients put off, to be computed while tokens travel."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.cost.cuda_graphs import cuda_graphs, written_modules
from harness.plan.constraints.overlap import OVERLAP
from harness.plan.violation import Case, Violation, names, needs_te, refused

DELAY = "--delay-wgrad-compute"
DISPATCH_OVERLAP = "--overlap-dispatch-backward-with-experts-wgrad"

OVERLAP_OF_DELAYED = Release(0, 14)  # first release in which only the overlapped schedule puts weight gradients off
CAPTURES_DELAYED = Release(0, 16)
CHECKS_CAPTURED = Release(0, 17)
CAPTURES_DELAYED_TE = Release(2, 10)
CAPTURES_REDUCED_TE = Release(2, 12)
DISPATCH_OVERLAP_TE = Release(2, 3)


def delayed(case: Case) -> Iterator[Violation]:
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


def captured(case: Case) -> Iterator[Violation]:
    """Delayed weight gradients of captured parts (validate_args, TransformerConfig)."""
    args, graphs = case.args, cuda_graphs(case.args, case.release)
    if not args.switch(DELAY):
        return
    if (
        graphs.implementation == "transformer_engine"
        and case.release >= CAPTURES_DELAYED
        and case.older_te(CAPTURES_DELAYED_TE)
    ):
        yield needs_te("delayed-wgrad", f"{DELAY} with CUDA graphs", CAPTURES_DELAYED_TE, "TE_VERSION", DELAY)
    if args.switch("--overlap-grad-reduce") and case.release >= CHECKS_CAPTURED and _captures_weights(case):
        yield from _captured_and_reduced(case)


def _captures_weights(case: Case) -> bool:
    """Whether attention or shared experts are named; shared experts run beside the router unless overlapped."""
    named, shared = written_modules(case.args), "--moe-shared-expert-intermediate-size" in case.args
    beside = shared and not case.args.switch("--moe-shared-expert-overlap")
    return "attn" in named or ("moe_router" in named and beside)


def _captured_and_reduced(case: Case) -> Iterator[Violation]:
    args, unfused = case.args, "--no-gradient-accumulation-fusion"
    if case.older_te(CAPTURES_REDUCED_TE):
        found = f"{DELAY} and --overlap-grad-reduce with captured weights"
        yield needs_te("delayed-wgrad", found, CAPTURES_REDUCED_TE, "TE_VERSION", DELAY)
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
    if case.older_te(DISPATCH_OVERLAP_TE):
        yield needs_te("delayed-wgrad", flag, DISPATCH_OVERLAP_TE, "TE_VERSION", flag)


def _reduced_while_delayed(case: Case) -> Iterator[Violation]:
    """Transformer Engine tells a delayed gradient's end only since 2.7; Megatron wants 2.8 of it since 0.15."""
    reduce, no_fusion = "--overlap-grad-reduce", "--no-gradient-accumulation-fusion"
    if case.release < OVERLAP_OF_DELAYED:
        if case.args.switch(reduce):
            yield _delay_refused(f"with {reduce}", "one of the two", f"leave {reduce} out", reduce)
        return
    least_of = {
        reduce: Release(2, 7) if case.release == OVERLAP_OF_DELAYED else Release(2, 8),
        no_fusion: Release(2, 7),
    }
    for flag, least in least_of.items():
        if case.te is not None and case.older_te(least) and case.args.switch(flag):
            wanted = str(least)
            yield _delay_refused(
                f"with {flag} on Transformer Engine {case.te}",
                f"Transformer Engine {wanted} or later",
                f"an image with Transformer Engine {wanted}",
                "TE_VERSION",
                flag,
            )


def _delay_refused(found: str, allowed: str, fix: str, *about: str) -> Violation:
    return Violation(
        constraint="delayed-wgrad",
        message=f"{DELAY} {found}; allowed: {allowed}",
        fix=f"{fix}, or leave {DELAY} out",
        names=names(*about, DELAY),
    )
