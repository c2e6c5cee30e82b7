"""Why a run failed, and what to change: its evidence held against the signatures, root causes before consequences."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.launch.log_part import clean
from harness.runs.record import Cause
from harness.runs.triage.details import DETAILS
from harness.runs.triage.evidence import Evidence, nodes_in, ranks_in
from harness.runs.triage.internal_causes import UNKNOWN
from harness.runs.triage.recovered_faults import recovered_faults
from harness.runs.triage.signatures import Kind, Signature, signatures

_FULL_BYTES = 1024**2
_SHOWN_LENGTH = 500


def find_cause(evidence: Evidence) -> Cause:
    """The cause of a failure; `unknown`, which says so, where no signature matches."""
    return next(_causes(evidence), None) or _unknown(evidence)


def _causes(evidence: Evidence) -> Iterator[Cause]:
    """What explains the failure, the most trustworthy first."""
    went_on_from = recovered_faults(evidence.log_lines, evidence.exit_codes)
    log, own = (
        [line for line in lines if not went_on_from(line)] for lines in (evidence.log_lines, _last_words(evidence))
    )
    yield from _told(evidence, own, "permanent")
    yield from _told_by_slurm(evidence, aftermath=False)
    yield from _told(evidence, log, "permanent", tentative=False)
    yield from _told(evidence, own, "exception")
    yield from _told(evidence, log, "permanent")
    yield from _told(evidence, log, "exception")
    yield from _told(evidence, log, "transient")
    yield from _told_by_exit_code(evidence)
    yield from _told_by_disk(evidence)
    yield from _told(evidence, log, "aftermath")
    yield from _told_by_slurm(evidence, aftermath=True)


def _last_words(evidence: Evidence) -> list[str]:
    """The first failing rank's traceback, or its end without one; lines are labelled as in the log."""
    label = "" if evidence.first_rank is None else f"{evidence.first_rank}: "
    return [label + line for line in (evidence.traceback or "").splitlines()]


def _told(evidence: Evidence, lines: Sequence[str], kind: Kind, *, tentative: bool = True) -> Iterator[Cause]:
    for signature in signatures():
        if signature.kind != kind or (signature.tentative and not tentative):
            continue
        if matching := _matching(signature, lines):
            yield _cause(signature, evidence, matching)


def _told_by_slurm(evidence: Evidence, *, aftermath: bool) -> Iterator[Cause]:
    word = (evidence.slurm_state or "").partition(" ")[0]
    for signature in signatures():
        if word in signature.states and (signature.kind == "aftermath") is aftermath:
            yield _cause(signature, evidence, _matching(signature, evidence.log_lines))


def _told_by_exit_code(evidence: Evidence) -> Iterator[Cause]:
    rank = evidence.first_rank
    code = None if rank is None else evidence.exit_codes.get(rank)
    for signature in signatures():
        if code in signature.exit_codes:
            yield _cause(signature, evidence, [f"{rank}: exit code {code}"])


def _told_by_disk(evidence: Evidence) -> Iterator[Cause]:
    """A full disk takes the very line that would tell of it."""
    if evidence.free_bytes is not None and evidence.free_bytes < _FULL_BYTES:
        yield from (_cause(signature, evidence, []) for signature in signatures() if signature.name == "disk-full")


def _unknown(evidence: Evidence) -> Cause:
    ranks = () if evidence.first_rank is None else (evidence.first_rank,)
    words = _last_words(evidence)
    told = "the first failing rank's last words are all there is to go by" if words else "no rank left a traceback"
    return replace(
        UNKNOWN,
        text=f"The cause is not known: no signature matches, and {told}.",
        evidence=words[-1][:_SHOWN_LENGTH] if words else None,
        ranks=ranks,
        nodes=evidence.nodes_of(ranks),
    )


def _matching(signature: Signature, lines: Sequence[str]) -> list[str]:
    if not signature.patterns:
        return []
    pattern = re.compile("|".join(signature.patterns))
    return [line for line in lines if pattern.search(line)]


def _cause(signature: Signature, evidence: Evidence, matching: Sequence[str]) -> Cause:
    """What a signature says, with what the lines that match it tell of ranks, nodes and figures."""
    lines = [clean(line) for line in matching]
    ranks = {rank for line in lines for rank in ranks_in(line)}
    named = dict.fromkeys(node for line in lines for node in nodes_in(line))
    cause = Cause(
        name=signature.name,
        text=signature.text,
        change=signature.change,
        evidence=lines[0].strip()[:_SHOWN_LENGTH] if lines else None,
        ranks=tuple(sorted(ranks)),
        nodes=tuple(named) or evidence.nodes_of(ranks),
    )
    detail = DETAILS.get(signature.name)
    return detail(cause, evidence, lines) if detail else cause
