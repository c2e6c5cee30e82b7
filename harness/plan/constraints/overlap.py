"""Overlapping the experts' all-to-all with computation."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.cost.cuda_graphs import MODULES, SCOPE, cuda_graphs
from harness.cost.recompute_flags import asked_granularity, recomputed_modules
from harness.plan.violation import Case, Violation, names

OVERLAP = "--overlap-moe-expert-parallel-comm"
EARLY_RELEASE = "--ep-overlap-early-attn-memory-release"
FULL_RECOMPUTE = ("--recompute-method", "--recompute-num-layers")
WHOLE_MLP_GRAPHS = {"moe", "mlp"}

CHECKS_GRAPHS = Release(0, 16)
MTP_WANTS_PIPELINE = (Release(0, 16), Release(0, 17))
CHECKS_MOE_RECOMPUTE = Release(0, 17)
LOCAL_GRAPHS = Release(0, 18)
TAKES_ZERO_MTP = Release(0, 19)


def expert_overlap(case: Case) -> Iterator[Violation]:
    """The schedule runs one micro-batch's forward beside another's backward, layer by layer (TransformerConfig)."""
    if case.args.switch(OVERLAP):
        for limits in (_mapping, _layers, _recompute, _prediction, _graphs):
            yield from limits(case)
    elif case.args.switch(EARLY_RELEASE):
        yield Violation(
            constraint="expert-overlap",
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
    args, kind = case.args, case.dispatcher
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
        constraint="expert-overlap",
        message=f"{OVERLAP} with {found}; allowed: {allowed}",
        fix=f"{fix}, or leave {OVERLAP} out",
        names=names(*about, "A2A_OVERLAP", OVERLAP),
    )
