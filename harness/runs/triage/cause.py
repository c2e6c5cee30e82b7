"""Match the evidence of a failed run against the signatures, root causes before consequences."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.launch.log.log_file import clean
from harness.runs.record import Cause
from harness.runs.triage.details import DETAILS
from harness.runs.triage.evidence import Evidence, nodes_in, ranks_in
from harness.runs.triage.internal_causes import UNKNOWN
from harness.runs.triage.recovered_faults import recovered_faults
from harness.runs.triage.signatures import Kind, Signature, signatures

_FULL_BYTES = 1024**2
_SHOWN_LENGTH = 500


def find_cause(evidence: Evidence) -> Cause:
    """Find the cause of a failure; `unknown`, which says so, where no signature matches."""
    return next(_causes(evidence), None) or _unknown(evidence)


def _causes(evidence: Evidence) -> Iterator[Cause]:
    """Yield the possible causes, the most trustworthy first."""
    is_recovered = recovered_faults(evidence.log_lines, evidence.exit_codes)
    log, own = (
        [line for line in lines if not is_recovered(line)]
        for lines in (evidence.log_lines, _first_rank_lines(evidence))
    )
    yield from _by_patterns(evidence, own, "permanent")
    yield from _by_slurm_state(evidence, aftermath=False)
    yield from _by_patterns(evidence, log, "permanent", tentative=False)
    yield from _by_patterns(evidence, own, "exception")
    yield from _by_patterns(evidence, log, "permanent")
    yield from _by_patterns(evidence, log, "exception")
    yield from _by_patterns(evidence, log, "transient")
    yield from _by_exit_code(evidence)
    yield from _by_free_space(evidence)
    yield from _by_patterns(evidence, log, "aftermath")
    yield from _by_slurm_state(evidence, aftermath=True)


def _first_rank_lines(evidence: Evidence) -> list[str]:
    """The lines of the first failing rank's traceback, or its last ones without one, labelled as in the log."""
    label = "" if evidence.first_rank is None else f"{evidence.first_rank}: "
    return [label + line for line in (evidence.traceback or "").splitlines()]


def _by_patterns(evidence: Evidence, lines: Sequence[str], kind: Kind, *, tentative: bool = True) -> Iterator[Cause]:
    for signature in signatures():
        if signature.kind != kind or (signature.tentative and not tentative):
            continue
        if matching := _matching(signature, lines):
            yield _cause(signature, evidence, matching)


def _by_slurm_state(evidence: Evidence, *, aftermath: bool) -> Iterator[Cause]:
    state = (evidence.slurm_state or "").partition(" ")[0]
    for signature in signatures():
        if state in signature.states and (signature.kind == "aftermath") is aftermath:
            yield _cause(signature, evidence, _matching(signature, evidence.log_lines))


def _by_exit_code(evidence: Evidence) -> Iterator[Cause]:
    rank = evidence.first_rank
    code = None if rank is None else evidence.exit_codes.get(rank)
    for signature in signatures():
        if code in signature.exit_codes:
            yield _cause(signature, evidence, [f"{rank}: exit code {code}"])


def _by_free_space(evidence: Evidence) -> Iterator[Cause]:
    """A full disk loses the very line that would say so."""
    if evidence.free_bytes is not None and evidence.free_bytes < _FULL_BYTES:
        yield from (_cause(signature, evidence, []) for signature in signatures() if signature.name == "disk-full")


def _unknown(evidence: Evidence) -> Cause:
    ranks = () if evidence.first_rank is None else (evidence.first_rank,)
    lines = _first_rank_lines(evidence)
    left = "the first failing rank's last words are all there is to go by" if lines else "no rank left a traceback"
    return replace(
        UNKNOWN,
        text=f"The cause is not known: no signature matches, and {left}.",
        evidence=lines[-1][:_SHOWN_LENGTH] if lines else None,
        ranks=ranks,
        nodes=evidence.nodes_of(ranks),
    )


def _matching(signature: Signature, lines: Sequence[str]) -> list[str]:
    if not signature.patterns:
        return []
    pattern = re.compile("|".join(signature.patterns))
    return [line for line in lines if pattern.search(line)]


def _cause(signature: Signature, evidence: Evidence, matching: Sequence[str]) -> Cause:
    """Make the cause of a signature, with the ranks, nodes and figures in the lines that match it."""
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
