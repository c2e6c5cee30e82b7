"""The optimizer: what is spread over replicas, overlapped, kept narrow or kept in host memory."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.plan.violation import Case, Violation, refused

SPREAD, FSDP = "--use-distributed-optimizer", "--use-megatron-fsdp"
GATHER, REDUCE = "--overlap-param-gather", "--overlap-grad-reduce"
GATHER_IN_STEP = "--overlap-param-gather-with-optimizer-step"
PRECISION_AWARE = "--use-precision-aware-optimizer"
OFFLOAD = "--optimizer-cpu-offload"
STATES = ("--main-grads-dtype", "--main-params-dtype", "--exp-avg-dtype", "--exp-avg-sq-dtype")

OFFLOAD_CHECKS_PARAMETERS = Release(0, 14)


def overlap(case: Case) -> Iterator[Violation]:
    """Parameters are gathered on the way only where they are spread, and gradients reduced on the way too."""
    args = case.args
    spread = args.switch(SPREAD) or args.switch(FSDP) or args.text("--optimizer") == "dist_muon"
    if args.switch(GATHER) and not spread:
        yield refused("optimizer", f"{GATHER} without {SPREAD}", "with it", f"add {SPREAD}", GATHER, SPREAD)
    if args.switch(GATHER) and not args.switch(REDUCE):
        fix = f"add {REDUCE}, or leave {GATHER} out"
        yield refused("optimizer", f"{GATHER} without {REDUCE}", "with it", fix, GATHER, REDUCE)
    if args.switch(GATHER_IN_STEP):
        yield from _gather_in_step(case)


def _gather_in_step(case: Case) -> Iterator[Violation]:
    args, fix = case.args, f"leave {GATHER_IN_STEP} out"
    for flag in (SPREAD, GATHER):
        if not args.switch(flag):
            yield refused("optimizer", f"{GATHER_IN_STEP} without {flag}", "with it", fix, GATHER_IN_STEP, flag)
    if case.parallel.vpp == 1:
        yield refused("optimizer", f"{GATHER_IN_STEP} with VPP=1", "VPP of 2 or more", fix, GATHER_IN_STEP, "VPP")
    if args.text("--ckpt-format", "torch_dist") != "torch":
        found = f"{GATHER_IN_STEP} with distributed checkpoints"
        yield refused("optimizer", found, "--ckpt-format torch", fix, GATHER_IN_STEP, "--ckpt-format")
    reuse = "--reuse-grad-buf-for-mxfp8-param-ag"
    if args.switch(reuse):
        yield refused("optimizer", f"{GATHER_IN_STEP} with {reuse}", "one of the two", fix, GATHER_IN_STEP, reuse)


def precision_aware(case: Case) -> Iterator[Violation]:
    """Narrow states are Adam's, spread over replicas; without the flag all states are fp32 (OptimizerConfig)."""
    args = case.args
    if not args.switch(PRECISION_AWARE):
        narrow = [f"{flag} {args.text(flag)}" for flag in STATES if args.text(flag, "fp32") != "fp32"]
        if narrow:
            found, about = f"{', '.join(narrow)} without {PRECISION_AWARE}", [word.split()[0] for word in narrow]
            yield refused("optimizer", found, "fp32", f"add {PRECISION_AWARE}", *about, PRECISION_AWARE)
        return
    optimizer = args.text("--optimizer", "adam")
    if optimizer != "adam":
        found = f"{PRECISION_AWARE} with --optimizer {optimizer}"
        yield refused("optimizer", found, "adam", f"leave {PRECISION_AWARE} out", "--optimizer", PRECISION_AWARE)
    if not (args.switch(SPREAD) or args.switch(FSDP)):
        fix = f"add {SPREAD}, or leave {PRECISION_AWARE} out"
        yield refused("optimizer", f"{PRECISION_AWARE} without {SPREAD}", "with it", fix, PRECISION_AWARE, SPREAD)


def gradients(case: Case) -> Iterator[Violation]:
    """Gradients summed in fp32 are kept in fp32 (validate_args)."""
    args, flag = case.args, "--accumulate-allreduce-grads-in-fp32"
    if args.switch("--bf16") and args.switch(flag) and args.text(STATES[0], "fp32") != "fp32":
        found = f"{STATES[0]} {args.text(STATES[0])} with {flag}"
        yield refused("optimizer", found, "fp32", f"leave {flag} out", STATES[0], flag)


def offload(case: Case) -> Iterator[Violation]:
    """An optimizer in host memory takes the precision-aware path, and gathers no quantized parameters."""
    args = case.args
    if not args.switch(OFFLOAD):
        return
    if not args.switch(PRECISION_AWARE):
        found = f"{OFFLOAD} without {PRECISION_AWARE}"
        yield refused("optimizer", found, "with it", f"add {PRECISION_AWARE}", "OPTIMIZER_OFFLOAD", OFFLOAD)
    gather, recipe = "--fp8-param-gather", args.text("--fp8-recipe", "delayed")
    if args.switch(gather) and recipe != "delayed" and case.release >= OFFLOAD_CHECKS_PARAMETERS:
        found, fix = f"{OFFLOAD} with {gather} and --fp8-recipe {recipe}", f"leave {gather} out"
        yield refused("optimizer", found, "delayed", fix, "OPTIMIZER_OFFLOAD", OFFLOAD, gather, "--fp8-recipe")
