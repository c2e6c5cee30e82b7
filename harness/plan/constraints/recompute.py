"""Recomputing activations: whole layers by a method and a number, or named modules (TransformerConfig)."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.cost.recompute_flags import asked_granularity
from harness.plan.violation import Case, Violation, needs_te, refused

GRANULARITY, METHOD, NUMBER = "--recompute-granularity", "--recompute-method", "--recompute-num-layers"
MODULES = "--recompute-modules"
FIRST_MODULES = ("core_attn", "moe_act", "layernorm", "mla_up_proj", "mlp", "moe")
LATER_MODULES = {"shared_experts": Release(0, 14), "gdn_norm_out": Release(0, 19)}
OUTPUT_DISCARDING = ("moe_act", "layernorm")  # modules whose output is freed, and computed again for the backward pass
CHECKS_FP8 = Release(0, 14)
DISCARDS_FP8_TE = Release(2, 6)


def granularity(case: Case) -> Iterator[Violation]:
    """Whole layers are recomputed by a method and a number, modules by neither."""
    kind = asked_granularity(case.args)
    given = [flag for flag in (METHOD, NUMBER) if flag in case.args]
    missing = [flag for flag in (METHOD, NUMBER) if flag not in case.args]
    if kind == "selective" and given:
        found, fix = f"selective recomputation with {' and '.join(given)}", f"leave {' and '.join(given)} out"
        yield refused("recompute", found, "with neither", fix, GRANULARITY, *given)
    if kind == "full" and missing:
        found, fix = f"{GRANULARITY} full without {' and '.join(missing)}", "add --recompute-method uniform "
        yield refused("recompute", found, "with both", f"{fix}--recompute-num-layers 1", GRANULARITY, *missing)
    if kind == "full" and case.args.switch("--moe-layer-recompute"):
        flag = "--moe-layer-recompute"
        yield refused("recompute", f"{flag} with {GRANULARITY} full", "one of the two", f"leave {flag} out", flag)


def modules(case: Case) -> Iterator[Violation]:
    """Modules that this release can recompute, and that the model has."""
    if asked_granularity(case.args) != "selective":
        return
    chosen = case.args.text(MODULES, "core_attn").split()
    known = [*FIRST_MODULES, *(name for name, first in LATER_MODULES.items() if case.release >= first)]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        found, fix = f"{MODULES} {' '.join(unknown)}", f"leave {' '.join(unknown)} out"
        yield refused("recompute", found, ", ".join(known), fix, MODULES)
    for name, missing, add in _without_subject(case):
        if name in chosen:
            found, fix = f"{MODULES} {name} {missing}", f"{add}, or leave {name} out"
            yield refused("recompute", found, "other modules", fix, MODULES)
    yield from _in_fp8(case, [name for name in OUTPUT_DISCARDING if name in chosen])


def _without_subject(case: Case) -> Iterator[tuple[str, str, str]]:
    """Modules that this model does not have, why, and what would give it to it."""
    args = case.args
    if not args.switch("--moe-grouped-gemm"):
        yield "moe_act", "without --moe-grouped-gemm", "MOE_GROUPED_GEMM=1"
    if not args.switch("--multi-latent-attention"):
        yield "mla_up_proj", "without --multi-latent-attention", "--multi-latent-attention"
    if args.text("--experimental-attention-variant") != "gated_delta_net":
        yield "gdn_norm_out", "without gated delta net", "--experimental-attention-variant gated_delta_net"
    overlap = "--moe-shared-expert-overlap"
    if "--moe-shared-expert-intermediate-size" in args and args.switch(overlap):
        yield "shared_experts", f"with {overlap}", f"leave {overlap} out"


def _in_fp8(case: Case, discarding: list[str]) -> Iterator[Violation]:
    """The quantizer must find the same scale twice, which delayed scaling does not promise."""
    if not discarding or case.fp8_recipe is None or case.release < CHECKS_FP8:
        return
    found = f"{MODULES} {' '.join(discarding)} in fp8"
    if case.fp8_recipe == "delayed":
        fix = f"--fp8-recipe blockwise, or leave {' '.join(discarding)} out"
        yield refused("recompute", f"{found} with delayed scaling", "other recipes", fix, MODULES, "--fp8-recipe")
    if case.older_te(DISCARDS_FP8_TE):
        yield needs_te("recompute", found, DISCARDS_FP8_TE, MODULES, "TE_VERSION")


def distributed(case: Case) -> Iterator[Violation]:
    """What is kept of recomputed layers can be split over TP, where the sequence is not split already."""
    flag, args = "--distribute-saved-activations", case.args
    if not args.switch(flag):
        return
    if case.parallel.tp == 1:
        yield refused("recompute", f"{flag} with TP=1", "TP of 2 or more", f"leave {flag} out", flag, "TP")
    if asked_granularity(args) != "full" or METHOD not in args:
        fix = f"{GRANULARITY} full with {METHOD}, or leave {flag} out"
        yield refused("recompute", f"{flag} without full recomputation", "with it", fix, flag, GRANULARITY)
    if case.sequence_parallel:
        found = f"{flag} with --sequence-parallel"
        yield refused("recompute", found, "one of the two", f"leave {flag} out", flag, "--sequence-parallel")
