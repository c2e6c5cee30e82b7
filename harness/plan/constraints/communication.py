"""How TP and CP ranks talk: overlapped with GEMMs, around a ring, or in two levels."""

from collections.abc import Iterator
from math import prod

from harness.plan.violation import Case, Violation, refused

TP_OVERLAP = "--tp-comm-overlap"
KIND, LEVELS = "--cp-comm-type", "--hierarchical-context-parallel-sizes"
DEFER = "--defer-embedding-wgrad-compute"


def tensor_parallel(case: Case) -> Iterator[Violation]:
    """TP's communication overlaps with GEMMs only where the sequence is split (validate_args)."""
    if case.args.switch(TP_OVERLAP) and not case.sequence_parallel:
        found = f"{TP_OVERLAP} with TP=1" if case.parallel.tp == 1 else f"{TP_OVERLAP} without --sequence-parallel"
        fix = f"add --sequence-parallel with TP of 2 or more, or leave {TP_OVERLAP} out"
        yield refused("tp-overlap", found, "with --sequence-parallel", fix, "TP_COMM_OVERLAP", TP_OVERLAP)


def context_parallel(case: Case) -> Iterator[Violation]:
    """One kind of exchange for all layers or one for each; two levels name their sizes (validate_args)."""
    args, kinds, cp = case.args, case.args.text(KIND, "p2p").split(), case.parallel.cp
    layers = args.integer("--num-layers")
    if cp > 1 and len(kinds) not in {1, layers}:
        found = f"{KIND} names {len(kinds)} kinds for {layers} layers"
        yield refused("cp-communication", found, f"1 or {layers}", "name one", KIND, "NUM_LAYERS")
    levels = args.text(LEVELS).split()
    if levels and prod(map(int, levels)) != cp:
        found = f"{LEVELS} {' '.join(levels)} with CP={cp}"
        yield refused("cp-communication", found, f"sizes whose product is {cp}", f"leave {LEVELS} out", LEVELS, "CP")
    if "a2a+p2p" in kinds and not levels:
        fix = f"add {LEVELS}, or {KIND} p2p"
        yield refused("cp-communication", f"{KIND} a2a+p2p without {LEVELS}", "with it", fix, KIND, LEVELS)


def deferred_embedding(case: Case) -> Iterator[Violation]:
    """The embedding's weight gradient fills the bubble of a pipeline, into a fused buffer (ModelParallelConfig)."""
    if not case.args.switch(DEFER):
        return
    if case.parallel.pp == 1:
        yield refused("deferred-embedding", f"{DEFER} with PP=1", "PP of 2 or more", f"leave {DEFER} out", DEFER, "PP")
    unfused = "--no-gradient-accumulation-fusion"
    if case.args.switch(unfused):
        found = f"{DEFER} with {unfused}"
        yield refused("deferred-embedding", found, "one of the two", f"leave {DEFER} out", DEFER, unfused)
