"""Fully sharded data parallel, Megatron's own and PyTorch's: what each goes with (validate_args)."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.plan.violation import Case, Violation, refused

MEGATRON, TORCH = "--use-megatron-fsdp", "--use-torch-fsdp2"
FORMAT, DEFAULT_FORMAT = "--ckpt-format", "torch_dist"
CONNECTIONS = "CUDA_DEVICE_MAX_CONNECTIONS"
OPTIMIZERS = ("sgd", "adam")
CHECKS_OPTIMIZER = Release(0, 18)
CHECKS_FORMATS = {"torch_dcp": Release(0, 12), "fsdp_dtensor": Release(0, 14)}


def megatron_fsdp(case: Case) -> Iterator[Violation]:
    """Megatron-FSDP saves its own format."""
    args, optimizer = case.args, case.args.text("--optimizer", "adam")
    if not args.switch(MEGATRON):
        return
    if optimizer not in OPTIMIZERS and case.release >= CHECKS_OPTIMIZER:
        found = f"{MEGATRON} with --optimizer {optimizer}"
        yield refused("fsdp", found, ", ".join(OPTIMIZERS), "--optimizer adam", "--optimizer", MEGATRON)
    if args.text(FORMAT, DEFAULT_FORMAT) != "fsdp_dtensor":
        found = f"{MEGATRON} with {FORMAT} {args.text(FORMAT, DEFAULT_FORMAT)}"
        yield refused("fsdp", found, "fsdp_dtensor", f"{FORMAT} fsdp_dtensor", FORMAT, MEGATRON)


def torch_fsdp2(case: Case) -> Iterator[Violation]:
    """PyTorch's FSDP shards dense models on one pipeline stage."""
    args, par = case.args, case.parallel
    if not args.switch(TORCH):
        return
    refusals = {
        f"PP={par.pp}": par.pp > 1,
        f"EP={par.ep}": par.ep > 1,
        "--use-distributed-optimizer": args.switch("--use-distributed-optimizer"),
        "fused gradient accumulation": not args.switch("--no-gradient-accumulation-fusion"),
        "--fp16": args.switch("--fp16"),
        "tied embeddings": not args.switch("--untie-embeddings-and-output-weights"),
        f"{FORMAT} {args.text(FORMAT)}": args.text(FORMAT, DEFAULT_FORMAT) not in {DEFAULT_FORMAT, "torch_dcp"},
    }
    found = [reason for reason, met in refusals.items() if met]
    if found:
        yield refused("fsdp", f"{TORCH} with {', '.join(found)}", "none of these", f"leave {TORCH} out", TORCH)


def checkpoint_formats(case: Case) -> Iterator[Violation]:
    """Sharded formats belong to one FSDP each."""
    args, kind = case.args, case.args.text(FORMAT, DEFAULT_FORMAT)
    owner = {"torch_dcp": TORCH, "fsdp_dtensor": MEGATRON}.get(kind)
    if owner is None or case.release < CHECKS_FORMATS[kind]:
        return
    if not args.switch(owner):
        yield refused("fsdp", f"{FORMAT} {kind} without {owner}", "with it", f"{FORMAT} torch_dist", FORMAT, owner)
    if kind == "torch_dcp" and case.parallel.tp * case.parallel.pp > 1:
        found = f"{FORMAT} torch_dcp with TP={case.parallel.tp} and PP={case.parallel.pp}"
        yield refused("fsdp", found, "1 and 1", f"{FORMAT} torch_dist", FORMAT, "TP", "PP")


def connections(case: Case) -> Iterator[Violation]:
    """One hardware queue keeps TP's and CP's kernels in order before Blackwell; FSDP wants several."""
    args, par = case.args, case.parallel
    if case.env is None:
        return
    one = case.env.get(CONNECTIONS) == "1"
    sharded = next((flag for flag in (MEGATRON, TORCH) if args.switch(flag)), None)
    if sharded:
        if one:
            yield refused("fsdp", f"{sharded} with {CONNECTIONS}=1", "8, say", f"{CONNECTIONS}=8", CONNECTIONS, sharded)
        return
    ordered = (par.tp > 1 or par.cp > 1) and not args.switch("--overlap-moe-expert-parallel-comm")
    if case.gpu is not None and case.gpu.architecture != "Blackwell" and ordered and not one:
        found = f"TP={par.tp} and CP={par.cp} on {case.gpu.name} without {CONNECTIONS}=1"
        yield refused("connections", found, "with it", f"{CONNECTIONS}=1", CONNECTIONS, "TP", "CP")
