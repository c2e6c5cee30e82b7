"""Mixture of experts: the router's numbers, and what a dispatcher asks for."""

from collections.abc import Iterator

from harness.arch.model import moe_layers
from harness.config.releases import Release
from harness.errors import ConfigError
from harness.plan.violation import Case, Violation, divisors, either, listed, names, neighbours, refused

BALANCING, COEFFICIENTS = "--moe-router-load-balancing-type", "--moe-aux-loss-coeff"
BIASED_SCORES = {"sigmoid": Release(0, 11), "sqrtsoftplus": Release(0, 18)}  # and the first release that biases them


def readable_moe_pattern(case: Case) -> tuple[bool, ...]:
    """For each layer, whether it is MoE; empty where `--moe-layer-freq` cannot be read (a violation of its own)."""
    try:
        return moe_layers(case.args)
    except ConfigError:
        return ()


def layer_pattern(case: Case) -> Iterator[Violation]:
    """`--moe-layer-freq` can be read and covers every layer."""
    try:
        moe_layers(case.args)
    except ConfigError as error:
        yield Violation(
            constraint="layer-pattern",
            message=str(error),
            fix="let the list have one entry a layer, 1 for MoE",
            names=names("--moe-layer-freq", "NUM_LAYERS"),
        )


def top_k(case: Case) -> Iterator[Violation]:
    """A token goes to at most all experts; to one only with the softmax taken before (its gradient would vanish)."""
    args, chosen = case.args, case.args.integer("--moe-router-topk", 2)
    if 0 < case.experts < chosen:
        yield Violation(
            constraint="top-k",
            message=f"--moe-router-topk {chosen} exceeds --num-experts {case.experts}",
            fix=f"--moe-router-topk of at most {case.experts}",
            names=("--moe-router-topk", "--num-experts"),
        )
    softmax = args.text("--moe-router-score-function", "softmax") == "softmax"
    sinkhorn = args.text("--moe-router-load-balancing-type", "aux_loss") == "sinkhorn"
    if chosen == 1 and softmax and not sinkhorn and not args.switch("--moe-router-pre-softmax"):
        yield Violation(
            constraint="top-k",
            message="--moe-router-topk 1 leaves softmax after the choice without a gradient",
            fix="add --moe-router-pre-softmax",
            names=("--moe-router-topk", "--moe-router-pre-softmax"),
        )


def groups(case: Case) -> Iterator[Violation]:
    """Group-limited routing: equal groups, and each chosen group holds the experts it is scored by.

    Megatron scores a group by its best top_k // group_top_k experts, so there must be one at least, and the group
    must have as many; it asserts the first two and fails inside `topk` on the others.
    """
    args, about = case.args, ("--moe-router-group-topk", "--moe-router-num-groups", "--moe-router-topk")
    chosen, count = args.integer("--moe-router-group-topk"), args.integer("--moe-router-num-groups")
    if not chosen:
        return
    if not case.experts:
        message, fix = "--moe-router-group-topk in a model without experts", "leave --moe-router-group-topk out"
    elif not count:
        message, fix = "--moe-router-group-topk needs --moe-router-num-groups", "add --moe-router-num-groups"
    elif case.experts % count:
        allowed = divisors(case.experts)
        message = f"--moe-router-num-groups {count} does not divide --num-experts {case.experts}; "
        message += f"allowed: {listed(allowed)}"
        fix = either("--moe-router-num-groups", neighbours(count, allowed))
    elif chosen > count:
        message = f"--moe-router-group-topk {chosen} exceeds --moe-router-num-groups {count}"
        fix = f"--moe-router-group-topk of at most {count}"
    elif not 1 <= args.integer("--moe-router-topk", 2) // chosen <= case.experts // count:
        message = (
            f"--moe-router-topk {args.integer('--moe-router-topk', 2)} over --moe-router-group-topk {chosen} groups of "
            f"{case.experts // count} experts; allowed: from 1 to {case.experts // count} experts of each group"
        )
        fix = f"--moe-router-topk between {chosen} and {chosen * (case.experts // count)}"
    else:
        return
    yield Violation(constraint="expert-groups", message=message, fix=fix, names=(*about, "--num-experts"))


def balancing(case: Case) -> Iterator[Violation]:
    """Several losses have a coefficient each (TransformerConfig), and Sinkhorn's balancing has none (TopKRouter)."""
    kinds = case.args.text(BALANCING, "aux_loss").split()
    coefficients = case.args.text(COEFFICIENTS, "0").split()
    if len(kinds) > 1 and len(coefficients) != len(kinds):
        found = f"{BALANCING} {' '.join(kinds)} with {len(coefficients)} {COEFFICIENTS}"
        yield refused(
            "balancing", found, f"{len(kinds)} of them", f"give {COEFFICIENTS} one each", COEFFICIENTS, BALANCING
        )
    if case.experts and kinds == ["sinkhorn"] and any(map(float, coefficients)):
        found, fix = f"{BALANCING} sinkhorn with {COEFFICIENTS} {' '.join(coefficients)}", f"{COEFFICIENTS} 0"
        yield refused("balancing", found, "0", fix, COEFFICIENTS, BALANCING)


def expert_bias(case: Case) -> Iterator[Violation]:
    """Balancing by a bias works on independent scores, not on a softmax (TransformerConfig)."""
    score = case.args.text("--moe-router-score-function", "softmax")
    biased = score in BIASED_SCORES and case.release >= BIASED_SCORES[score]
    if case.args.switch("--moe-router-enable-expert-bias") and not biased:
        yield Violation(
            constraint="expert-bias",
            message=f"--moe-router-enable-expert-bias with --moe-router-score-function {score}; allowed: sigmoid",
            fix="--moe-router-score-function sigmoid, or leave the bias out",
            names=("--moe-router-enable-expert-bias", "--moe-router-score-function"),
        )


def linear_bias(case: Case) -> Iterator[Violation]:
    """Experts with linear biases cannot be split, and shared experts have none at all."""
    if not case.experts or case.args.switch("--disable-bias-linear"):
        return
    shared = "--moe-shared-expert-intermediate-size" in case.args
    if case.parallel.etp > 1 or shared:
        reason = "shared experts" if shared else f"ETP={case.parallel.etp}"
        yield Violation(
            constraint="linear-bias",
            message=f"linear layers have biases, which Megatron does not support with {reason}",
            fix="add --disable-bias-linear",
            names=names("--disable-bias-linear", "ETP"),
        )


def sequence_parallel(case: Case) -> Iterator[Violation]:
    """MoE layers refuse to train with TP unless activations are split along the sequence (MoELayer.forward)."""
    if case.experts and case.parallel.tp > 1 and not case.sequence_parallel:
        yield Violation(
            constraint="sequence-parallel",
            message=f"TP={case.parallel.tp} with experts, but without --sequence-parallel",
            fix="add --sequence-parallel, or TP=1",
            names=names("TP", "--sequence-parallel"),
        )
