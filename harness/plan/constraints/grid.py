"""Ranks: the dense and the expert grid must tile the job, and what TP and EP split must be divisible."""

from collections.abc import Iterator
from math import gcd, lcm

from harness.arch.attention import kv_heads
from harness.arch.model import padded_vocab_size
from harness.arch.moe import ffn_hidden
from harness.config.releases import Release
from harness.plan.constraints.routing import readable_moe_pattern
from harness.plan.violation import (
    Case,
    Violation,
    divisors,
    either,
    listed,
    names,
    neighbouring_multiples,
    neighbours,
)

SPLIT_KV_HEADS_OF_A_GROUP = Release(0, 16)  # first release in which several TP ranks may share a query group


def world_size(case: Case) -> Iterator[Violation]:
    """The job's ranks are a multiple of both grids (parallel_state.initialize_model_parallel)."""
    par = case.parallel
    grids = [(f"TP·CP·PP = {par.tp}·{par.cp}·{par.pp}", par.dense_grid)]
    if not any(expert_parallel(case)):  # an EP that must change anyway has no say
        grids.append((f"ETP·EP·PP = {par.etp}·{par.ep}·{par.pp}", par.expert_grid))
    misfits = [f"{grid} = {size}" for grid, size in grids if par.world_size % size]
    if misfits:
        unit = lcm(*(size for _, size in grids))
        yield Violation(
            constraint="world-size",
            message=f"{par.world_size} GPUs are no multiple of {' nor of '.join(misfits)}; "
            f"allowed with this mapping: multiples of {unit}",
            fix=_fitting_world(case, unit),
            names=("NNODES", "GPUS_PER_NODE", *names("TP", "CP", "PP", "ETP", "EP")),
        )


def _fitting_world(case: Case, unit: int) -> str:
    """The nearest numbers of nodes, or of GPUs where the size of a node is not known, that make multiples of `unit`."""
    gpus = case.parallel.world_size
    if case.gpus_per_node is None:
        return f"run on {' or '.join(map(str, neighbouring_multiples(gpus, unit)))} GPUs, or change the mapping"
    nodes = neighbouring_multiples(gpus // case.gpus_per_node, unit // gcd(unit, case.gpus_per_node))
    return f"{either('NNODES', nodes)} with {case.gpus_per_node} GPUs a node, or change the mapping"


def expert_parallel(case: Case) -> Iterator[Violation]:
    """EP divides the experts (validate_args)."""
    ep, experts = case.parallel.ep, case.experts
    if ep == 1 or (experts and experts % ep == 0):
        return
    if not experts:
        yield Violation(
            constraint="expert-parallel",
            message=f"EP={ep}, but the model has no experts; allowed: 1",
            fix="EP=1",
            names=names("EP", "--num-experts"),
        )
        return
    beside = case.parallel.etp * case.parallel.pp
    fitting = [divisor for divisor in divisors(experts) if case.parallel.world_size % (beside * divisor) == 0]
    allowed = fitting or divisors(experts)
    yield Violation(
        constraint="expert-parallel",
        message=f"EP={ep} does not divide --num-experts {experts}; allowed here: {listed(allowed)}",
        fix=either("EP", neighbours(ep, allowed)),
        names=names("EP", "--num-experts"),
    )


def attention_heads(case: Case) -> Iterator[Violation]:
    """Heads are divisible by TP and by query groups, and the hidden size by heads (TransformerConfig)."""
    args, tp = case.args, case.parallel.tp
    heads, hidden = args.integer("--num-attention-heads"), args.integer("--hidden-size")
    if heads % tp:
        yield _indivisible("--num-attention-heads", heads, case, "TP")
    if args.switch("--multi-latent-attention"):
        if args.switch("--group-query-attention"):
            yield Violation(
                constraint="attention",
                message="--group-query-attention stands beside --multi-latent-attention; allowed: one of them",
                fix="leave --group-query-attention out",
                names=("--group-query-attention", "--multi-latent-attention"),
            )
        return
    if "--kv-channels" not in args and hidden % heads:
        yield Violation(
            constraint="attention",
            message=f"--hidden-size {hidden} is not divisible by --num-attention-heads {heads}",
            fix="set --kv-channels to the size of a head",
            names=("--num-attention-heads", "--hidden-size"),
        )
    yield from _query_groups(case, heads)


def _query_groups(case: Case, heads: int) -> Iterator[Violation]:
    groups, tp = kv_heads(case.args), case.parallel.tp
    shared = case.release >= SPLIT_KV_HEADS_OF_A_GROUP and tp % groups == 0
    if heads % groups:
        yield Violation(
            constraint="attention",
            message=f"--num-query-groups {groups} does not divide --num-attention-heads {heads}; "
            f"allowed: {listed(divisors(heads))}",
            fix=either("--num-query-groups", neighbours(groups, divisors(heads))),
            names=("--num-query-groups", "--num-attention-heads"),
        )
    elif groups % tp and not shared and heads % tp == 0:
        yield _indivisible("--num-query-groups", groups, case, "TP")


def tensor_widths(case: Case) -> Iterator[Violation]:
    """Inner sizes and embedding rows are divisible by the ranks that split them (tensor_parallel.divide)."""
    args, tp, etp = case.args, case.parallel.tp, case.parallel.etp
    pattern = readable_moe_pattern(case)
    if not all(pattern) and ffn_hidden(args) % tp:
        yield _indivisible("--ffn-hidden-size", ffn_hidden(args), case, "TP")
    expert_hidden = args.integer("--moe-ffn-hidden-size", ffn_hidden(args))
    if any(pattern) and expert_hidden % etp:
        yield _indivisible("--moe-ffn-hidden-size", expert_hidden, case, "ETP")
    shared = args.integer("--moe-shared-expert-intermediate-size")
    if any(pattern) and shared % tp:
        yield _indivisible("--moe-shared-expert-intermediate-size", shared, case, "TP")
    rows = padded_vocab_size(args)
    if rows % tp:
        flag = "--padded-vocab-size" if "--padded-vocab-size" in args else "--vocab-size"
        yield _indivisible(flag, rows, case, "TP")


def _indivisible(flag: str, size: int, case: Case, setting: str) -> Violation:
    ranks = case.parallel.tp if setting == "TP" else case.parallel.etp
    allowed = [divisor for divisor in divisors(size) if divisor <= max(case.parallel.world_size, ranks)]
    return Violation(
        constraint="tensor-parallel",
        message=f"{setting}={ranks} does not divide {flag} {size}; allowed: {listed(allowed)}",
        fix=either(setting, neighbours(ranks, allowed)),
        names=names(setting, flag),
    )
