"""Quantized GEMMs: fp8 and fp4, the parameters kept in them, and the Transformer Engine they need."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.plan.constraints.optimizer import FSDP, SPREAD
from harness.plan.violation import Case, Violation, needs_te, refused

FP8, FP4, RECIPE = "--fp8-format", "--fp4-format", "--fp8-recipe"
GATHER = {"--fp8-param-gather": FP8, "--fp4-param-gather": FP4}
REUSE = "--reuse-grad-buf-for-mxfp8-param-ag"
OUTPUT_PROJECTION = "--fp8-output-proj"
EDGES = ("--num-layers-at-start-in-bf16", "--num-layers-at-end-in-bf16")

GATHER_CHECKS_FORMAT = Release(0, 12)


def formats(case: Case) -> Iterator[Violation]:
    """One number format for the GEMMs, and one for everything else (validate_args)."""
    args = case.args
    for one, other in (("--bf16", "--fp16"), (FP8, FP4)):
        if args.has(one) and args.has(other):
            yield refused("precision", f"{one} with {other}", "one of the two", f"leave {other} out", "PR", one, other)
    half = args.switch("--bf16") or args.switch("--fp16")
    residual, entropy = "--fp32-residual-connection", "--fp16-lm-cross-entropy"
    if args.switch(residual) and not half:
        yield refused("precision", f"{residual} with fp32", "bf16, fp16", f"leave {residual} out", residual, "PR")
    if args.switch(entropy) and not args.switch("--fp16"):
        yield refused("precision", f"{entropy} without --fp16", "with it", f"leave {entropy} out", entropy)


def parameters(case: Case) -> Iterator[Violation]:
    """Quantized parameters are gathered by an optimizer that spreads them (validate_args, TransformerConfig)."""
    args = case.args
    for gather, number_format in GATHER.items():
        if not args.switch(gather):
            continue
        if number_format not in args and case.release >= GATHER_CHECKS_FORMAT:
            fix = f"PR=fp8, or leave {gather} out"
            yield refused("fp8", f"{gather} without {number_format}", "with it", fix, gather, number_format)
        if number_format == FP8 and not any(map(args.switch, (SPREAD, FSDP, "--use-torch-fsdp2"))):
            yield refused("fp8", f"{gather} without {SPREAD}", "with it", f"add {SPREAD}", gather, SPREAD)
    if args.switch(REUSE) and not args.switch("--fp8-param-gather") and not args.switch(FSDP):
        fix = f"add --fp8-param-gather, or leave {REUSE} out"
        yield refused("fp8", f"{REUSE} without --fp8-param-gather", "with it", fix, REUSE, "--fp8-param-gather")


def edges(case: Case) -> Iterator[Violation]:
    """First and last layers kept in bf16: not under delayed scaling, nor more than a stage has (TransformerConfig)."""
    args, flag = case.args, "--first-last-layers-bf16"
    if case.fp8_recipe is None:
        return
    if case.fp8_recipe == "delayed" and args.switch(flag):
        found = f"{flag} with delayed scaling"
        yield refused("fp8", found, "other recipes", f"--fp8-recipe blockwise, or leave {flag} out", flag, RECIPE)
    most = args.integer("--num-layers") // case.parallel.pp
    for edge in EDGES:
        if args.switch(flag) and args.integer(edge, 1) > most:
            found = f"{edge} {args.integer(edge, 1)} with {most} layers a stage"
            yield refused("fp8", found, f"0 to {most}", f"{edge} {most}", edge, "PP")
    if args.switch(OUTPUT_PROJECTION) and case.fp8_recipe != "mxfp8":
        found = f"{OUTPUT_PROJECTION} with {RECIPE} {case.fp8_recipe}"
        yield refused("fp8", found, "mxfp8", f"leave {OUTPUT_PROJECTION} out", OUTPUT_PROJECTION, RECIPE)


def output_projection(case: Case) -> Iterator[Violation]:
    """The output projection follows the others into fp8, never alone (TransformerConfig)."""
    if case.args.switch(OUTPUT_PROJECTION) and case.fp8_recipe is None:
        found, fix = f"{OUTPUT_PROJECTION} without {FP8}", f"leave {OUTPUT_PROJECTION} out"
        yield refused("fp8", found, "with it", fix, OUTPUT_PROJECTION, FP8)


def custom(case: Case) -> Iterator[Violation]:
    """A recipe of one's own has a factory (TransformerConfig)."""
    if case.fp8_recipe == "custom" and "--fp8-quantizer-factory" not in case.args:
        fix = "add --fp8-quantizer-factory package.module.factory"
        yield refused("fp8", f"{RECIPE} custom without --fp8-quantizer-factory", "with it", fix, RECIPE)


def transformer_engine(case: Case) -> Iterator[Violation]:
    """Experts without a token, and grouped GEMMs, came to fp8 one after the other; fp4 later still."""
    args = case.args
    needs = []
    if case.fp8_recipe is not None and case.experts:
        needs.append((Release(1, 7), "fp8 experts", "PR"))
        if args.switch("--moe-grouped-gemm"):
            needs.append((Release(1, 11), "fp8 in --moe-grouped-gemm", "--moe-grouped-gemm"))
    if FP4 in args:
        needs.append((Release(2, 7), FP4, FP4))
    late = [need for need in needs if case.older_te(need[0])]
    for least, found, about in late[-1:]:
        yield needs_te("fp8", found, least, "TE_VERSION", about)
