"""Sending tokens to their experts: which dispatcher goes with what, and what a capacity asks for."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.plan.violation import Case, Violation, names, refused

HYBRIDEP_ON_ONE_RANK = Release(0, 17)  # first release whose flex dispatcher takes HybridEP without peers
PADS_WITH_HYBRIDEP = Release(0, 16)
SHARED_OVERLAP_WITH_FLEX = Release(0, 18)
GLOBAL_AUX_LOSS = Release(0, 15)
CAPACITY_BY_ALLTOALL = Release(0, 11)  # the one release whose allgather dispatcher has no capacity
RANK_CAPACITY_WITH_NCCLEP = Release(0, 19)
SETTING, FLEX = "MOE_TOKEN_DISPATCHER", "--moe-flex-dispatcher-backend"
DEEPEP = "--moe-enable-deepep"
CAPACITY, PADDED = "--moe-expert-capacity-factor", "--moe-pad-expert-input-to-capacity"
RANK_CAPACITY = "--moe-expert-rank-capacity-factor"
FUSER = "--use-transformer-engine-op-fuser"


def dispatcher(case: Case) -> Iterator[Violation]:
    """The flex dispatcher needs peers, its backends need it, and one of them is enough."""
    args, par, backend = case.args, case.parallel, case.flex_backend
    alone_is_fine = backend == "hybridep" and case.release >= HYBRIDEP_ON_ONE_RANK
    if case.experts and backend is not None and par.etp * par.ep == 1 and not alone_is_fine:
        yield Violation(
            constraint="dispatcher",
            message="the flex dispatcher needs ETP·EP > 1, but both are 1",
            fix="EP=2 or more, or MOE_TOKEN_DISPATCHER=alltoall",
            names=names(SETTING, "EP"),
        )
    if args.switch(DEEPEP) and backend is None:
        found, fix = f"{DEEPEP} with the {case.dispatcher} dispatcher", f"leave {DEEPEP} out"
        yield refused("dispatcher", found, "flex", f"MOE_TOKEN_DISPATCHER=flex, or {fix}", SETTING, DEEPEP)
    if args.switch(DEEPEP) and backend is not None and args.text(FLEX) == "hybridep":
        yield refused("dispatcher", f"{DEEPEP} with {FLEX} hybridep", "one of them", f"leave {DEEPEP} out", DEEPEP)
    if args.text(FLEX) == "ncclep" and backend is None:
        found, fix = f"{FLEX} ncclep with the {case.dispatcher} dispatcher", "MOE_TOKEN_DISPATCHER=flex"
        yield refused("dispatcher", found, "flex", fix, SETTING, FLEX)


def shared_overlap(case: Case) -> Iterator[Violation]:
    """Shared experts run while tokens travel, in dispatchers that are written in steps (TransformerConfig)."""
    flag, size = "--moe-shared-expert-overlap", "--moe-shared-expert-intermediate-size"
    allowed = ("alltoall", "flex") if case.release >= SHARED_OVERLAP_WITH_FLEX else ("alltoall",)
    if size in case.args and case.args.switch(flag) and case.dispatcher not in allowed:
        found, fix = (
            f"{flag} with the {case.dispatcher} dispatcher",
            f"MOE_TOKEN_DISPATCHER=alltoall, or leave {flag} out",
        )
        yield refused("dispatcher", found, ", ".join(allowed), fix, SETTING, flag)


def capacity(case: Case) -> Iterator[Violation]:
    """Dropping tokens beyond a capacity goes with auxiliary losses; padding to it needs one (TransformerConfig)."""
    args = case.args
    losses = ["aux_loss", "seq_aux_loss", *(["global_aux_loss"] if case.release >= GLOBAL_AUX_LOSS else []), "none"]
    balancing = "--moe-router-load-balancing-type"
    other = [kind for kind in args.text(balancing, "aux_loss").split() if kind not in losses]
    if CAPACITY in args and other:
        found = f"{CAPACITY} with {balancing} {' '.join(other)}"
        yield refused("capacity", found, ", ".join(losses), f"leave {CAPACITY} out", balancing, CAPACITY)
    if CAPACITY in args and case.release == CAPACITY_BY_ALLTOALL and case.dispatcher == "allgather":
        found = f"{CAPACITY} with the allgather dispatcher"
        yield refused("capacity", found, "alltoall", "MOE_TOKEN_DISPATCHER=alltoall", SETTING, CAPACITY)
    if not args.switch(PADDED):
        return
    if args.number(CAPACITY, -1) < 0:
        fix = f"add {CAPACITY} 1.0, or leave {PADDED} out"
        yield refused("capacity", f"{PADDED} without {CAPACITY}", "with it", fix, PADDED, CAPACITY)
    by_hybridep = case.flex_backend != "deepep" and case.release >= PADS_WITH_HYBRIDEP
    if case.flex_backend is not None and not by_hybridep:
        found = f"{PADDED} with the flex dispatcher and {case.flex_backend}"
        yield refused("capacity", found, "alltoall", "MOE_TOKEN_DISPATCHER=alltoall", SETTING, PADDED)


def rank_capacity(case: Case) -> Iterator[Violation]:
    """A rank's own capacity is a buffer of the flex backends, read by fused experts (TransformerConfig)."""
    args = case.args
    if RANK_CAPACITY not in args:
        return
    backend = args.text(FLEX, "deepep")
    known = ("hybridep", "ncclep") if case.release >= RANK_CAPACITY_WITH_NCCLEP else ("hybridep",)
    if backend not in known or args.switch(DEEPEP):
        found, fix = f"{RANK_CAPACITY} with {FLEX} {backend}", f"leave {RANK_CAPACITY} out"
        yield refused("capacity", found, ", ".join(known), fix, FLEX, RANK_CAPACITY)
    elif backend == "hybridep" and not args.switch(FUSER):
        found = f"{RANK_CAPACITY} without {FUSER}"
        yield refused("capacity", found, "with it", f"add {FUSER}", RANK_CAPACITY, FUSER)
