"""Batches and sequences: what a step divides among replicas, micro-batches and ranks."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.plan.constraints.pipeline import PER_STAGE
from harness.plan.violation import Case, Violation, either, names, neighbouring_multiples

MTP_POSITIONS = ("rope", "none")
MTP_OVER_CONTEXT_PARALLEL = Release(0, 14)  # first release that splits the sequences of MTP modules
ONE_VIRTUAL_STAGE_IS_NONE = Release(0, 14)  # first release that takes VPP=1 for the plain schedule


def global_batch(case: Case) -> Iterator[Violation]:
    """Every replica runs the same number of micro-batches (num_microbatches_calculator)."""
    par, size = case.parallel, case.batch
    unit = size.micro * par.dp
    if par.world_size % par.dense_grid == 0 and size.global_ % unit:
        yield Violation(
            constraint="global-batch",
            message=f"GBS={size.global_} is no multiple of MBS·DP = {size.micro}·{par.dp} = {unit}",
            fix=either("GBS", neighbouring_multiples(size.global_, unit)),
            names=names("GBS", "MBS"),
        )


def evaluation_batch(case: Case) -> Iterator[Violation]:
    """Evaluation may have a batch of its own, which is divided like the other (validate_args)."""
    args, size = case.args, case.batch
    whole, micro = args.integer("--eval-global-batch-size"), args.integer("--eval-micro-batch-size")
    unit = (micro or size.micro) * case.parallel.dp
    if not (whole or micro) or case.parallel.world_size % case.parallel.dense_grid:
        return
    if (whole or size.global_) % unit:
        flag = "--eval-global-batch-size"
        yield Violation(
            constraint="evaluation-batch",
            message=f"{flag} {whole or size.global_} is no multiple of its micro-batches times DP = {unit}",
            fix=either(flag, neighbouring_multiples(whole or size.global_, unit)),
            names=names(flag, "--eval-micro-batch-size", "GBS", "MBS"),
        )


def interleaving(case: Case) -> Iterator[Violation]:
    """Virtual stages want a pipeline, and micro-batches in whole groups of PP (forward_backward_…_interleaving)."""
    par = case.parallel
    least = 3 if case.args.switch("--no-overlap-p2p-communication") else 2
    if par.vpp == 1:
        yield from _interleaving_of_one(case, least)
    elif par.pp < least:
        yield Violation(
            constraint="interleaving",
            message=f"VPP={par.vpp} with PP={par.pp}; allowed: PP of {least} or more",
            fix=f"VPP=1, or PP={least} or more",
            names=names("VPP", "LAYERS_PER_VP", PER_STAGE, "PP"),
        )
    else:
        yield from _micro_batch_groups(case)


def _interleaving_of_one(case: Case, least: int) -> Iterator[Violation]:
    """Early releases interleave whenever a flag is there, even one virtual stage."""
    flags = [flag for flag in names("VPP", "LAYERS_PER_VP", PER_STAGE) if flag in case.args]
    if flags and case.parallel.pp < least and case.release < ONE_VIRTUAL_STAGE_IS_NONE:
        yield Violation(
            constraint="interleaving",
            message=f"{flags[0]} with PP={case.parallel.pp}; allowed before Megatron 0.14: PP of {least} or more",
            fix=f"leave {flags[0]} out, or PP={least} or more",
            names=names("VPP", "LAYERS_PER_VP", PER_STAGE, "PP"),
        )


def _micro_batch_groups(case: Case) -> Iterator[Violation]:
    """A last group of micro-batches that is smaller than the pipeline would stall it; Megatron refuses it."""
    par, size = case.parallel, case.batch
    flag = "--microbatch-group-size-per-virtual-pipeline-stage"
    group = case.args.integer(flag, par.pp)
    if group < par.pp:
        yield Violation(
            constraint="interleaving",
            message=f"{flag} {group} is below PP={par.pp}",
            fix=f"{flag} {par.pp}",
            names=names(flag, "PP"),
        )
        return
    unit = size.micro * par.dp
    if par.world_size % par.dense_grid or size.global_ % unit:
        return
    micro_batches = size.global_ // unit
    if micro_batches < group or 0 < micro_batches % group < par.pp:
        yield Violation(
            constraint="interleaving",
            message=f"VPP={par.vpp} with {micro_batches} micro-batches (GBS={size.global_} over MBS·DP = {unit}); "
            f"allowed: multiples of {group}",
            fix=f"{either('GBS', neighbouring_multiples(size.global_, unit * group))}, or VPP=1",
            names=names("GBS", "VPP", "LAYERS_PER_VP", PER_STAGE, "PP"),
        )


def sequence_length(case: Case) -> Iterator[Violation]:
    """Sequences split into 2·CP chunks, then over TP; and no longer than the positions (validate_args)."""
    par, seq_len = case.parallel, case.batch.seq_len
    chunks = 2 * par.cp if par.cp > 1 else 1
    if seq_len % chunks:
        yield Violation(
            constraint="sequence-length",
            message=f"SEQ_LEN={seq_len} is no multiple of 2·CP = {chunks}",
            fix=either("SEQ_LEN", neighbouring_multiples(seq_len, chunks)),
            names=names("SEQ_LEN", "CP"),
        )
    elif case.sequence_parallel and seq_len // par.cp % par.tp:
        unit = par.cp * par.tp * (2 if par.cp > 1 and par.tp % 2 else 1)
        yield Violation(
            constraint="sequence-length",
            message=f"--sequence-parallel splits {seq_len // par.cp} tokens (SEQ_LEN/CP) over TP={par.tp}",
            fix=either("SEQ_LEN", neighbouring_multiples(seq_len, unit)),
            names=names("SEQ_LEN", "CP", "TP"),
        )
    positions = case.args.integer("--max-position-embeddings")
    if seq_len > positions:
        yield Violation(
            constraint="sequence-length",
            message=f"SEQ_LEN={seq_len} exceeds --max-position-embeddings {positions}",
            fix=f"SEQ_LEN={positions} or less, or --max-position-embeddings {seq_len}",
            names=names("SEQ_LEN", "--max-position-embeddings"),
        )


def mtp_positions(case: Case) -> Iterator[Violation]:
    """Multi-token prediction shifts tokens, which learned positions do not follow (validate_args)."""
    kind = case.args.text("--position-embedding-type", "learned_absolute")
    if case.args.switch("--use-rotary-position-embeddings"):
        kind = "rope"
    if case.args.integer("--mtp-num-layers") and kind not in MTP_POSITIONS:
        yield Violation(
            constraint="mtp",
            message=f"--mtp-num-layers with --position-embedding-type {kind}; allowed: {', '.join(MTP_POSITIONS)}",
            fix="--position-embedding-type rope",
            names=("--position-embedding-type", "--mtp-num-layers"),
        )


def mtp_context_parallel(case: Case) -> Iterator[Violation]:
    """The first releases with multi-token prediction shift tokens within a rank only (validate_args)."""
    cp = case.parallel.cp
    if case.args.integer("--mtp-num-layers") and cp > 1 and case.release < MTP_OVER_CONTEXT_PARALLEL:
        yield Violation(
            constraint="mtp",
            message=f"--mtp-num-layers with CP={cp}; allowed before Megatron 0.14: CP=1",
            fix="CP=1, or leave --mtp-num-layers out",
            names=names("CP", "--mtp-num-layers"),
        )
