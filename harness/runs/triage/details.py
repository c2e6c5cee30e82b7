"""Add details to some causes from the lines that match: figures, suspects, names."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from harness.runs.record import Cause
from harness.runs.triage.evidence import Evidence, ranks_in
from harness.units import show_bytes

type Detail = Callable[[Cause, Evidence, Sequence[str]], Cause]

# "Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.20 GiB is free." (torch 2.1 and later)
_ASKED = re.compile(r"Tried to allocate ([\d.]+) ([KMG]iB)")
_CAPACITY = re.compile(r"total capacity of ([\d.]+) ([KMG]iB)")
_FREE = re.compile(r"of which ([\d.]+) ([KMG]iB) is free")
_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

_WATCHDOG = re.compile(r"Watchdog caught collective operation timeout: WorkNCCL\((?P<work>.*)\) ran for (?P<ms>\d+)")
# torch 2.4 writes `work: 7`, 2.6 `NCCL work: 7`; what stands before `Rank` in the brackets names the process group.
_PROGRESS = re.compile(r"\[PG (?P<group>[^\]]*?)Rank \d+\].*last enqueued (?:NCCL )?work: (?P<enqueued>-?\d+)")
_MOST_SHOWN = 8


def _explain_cuda_oom(cause: Cause, evidence: Evidence, lines: Sequence[str]) -> Cause:
    """Add how much memory was asked for and free, and the estimate."""
    text = "\n".join(lines)
    asked, free, capacity = (_bytes(pattern, text) for pattern in (_ASKED, _FREE, _CAPACITY))
    parts = [cause.text]
    if asked is not None and free is not None and capacity is not None:
        available = f"{show_bytes(free)} of {show_bytes(capacity)} were free"
        parts.append(f"{show_bytes(asked)} more were asked for where {available}.")
    elif asked is not None:
        parts.append(f"{show_bytes(asked)} more were asked for.")
    parts.append(_estimate((evidence.predicted or {}).get("peak_memory_bytes"), capacity))
    return replace(cause, text=" ".join(parts))


def _estimate(peak_bytes: float | None, capacity_bytes: float | None) -> str:
    if peak_bytes is None:
        return "No estimate of its memory was made."
    text = f"The estimate was {show_bytes(peak_bytes)} a GPU"
    if capacity_bytes is None:
        return f"{text}."
    if peak_bytes > capacity_bytes:
        return f"{text}: it was not going to fit."
    return f"{text}, so that it should have fitted: it was too low for this job."


def _bytes(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.search(text)
    return float(found[1]) * _UNITS[found[2]] if found else None


def _explain_nccl_timeout(cause: Cause, evidence: Evidence, lines: Sequence[str]) -> Cause:
    """Add the ranks that the others waited for: those behind in a group's collectives, and those that said nothing."""
    reported = set(cause.ranks)
    silent = set(range(evidence.rank_count or 0)) - reported
    if len(silent) > len(reported):  # a small group's timeout: the rest had not even reached theirs
        silent = set()
    suspects = silent | _ranks_behind(evidence.log_lines)
    parts = [cause.text]
    if waited := _WATCHDOG.search("\n".join(lines)):
        parts.append(f"They gave up after {int(waited['ms']) / 1000:.0f} s in {waited['work']}.")
    if reported:
        of_all = f" of {evidence.rank_count}" if evidence.rank_count else ""
        parts.append(f"{len(reported)}{of_all} ranks reported it.")
    if not suspects:
        return replace(cause, text=" ".join(parts))
    parts.append(f"Waited for: {_rank_list(suspects)}.")
    return replace(cause, text=" ".join(parts), ranks=tuple(sorted(suspects)), nodes=evidence.nodes_of(suspects))


def _ranks_behind(lines: Sequence[str]) -> set[int]:
    """Find the ranks that enqueued fewer collectives of a group than others in it."""
    groups: dict[str, dict[int, int]] = {}
    for line in lines:
        progress, rank = _PROGRESS.search(line), next(ranks_in(line), None)
        if progress and rank is not None:
            groups.setdefault(progress["group"].strip(), {})[rank] = int(progress["enqueued"])
    return {rank for seen in groups.values() for rank, last in seen.items() if last < max(seen.values())}


def _rank_list(ranks: Collection[int]) -> str:
    ordered = [str(rank) for rank in sorted(ranks)]
    more = f" and {len(ordered) - _MOST_SHOWN} more" if len(ordered) > _MOST_SHOWN else ""
    return f"{'rank' if len(ordered) == 1 else 'ranks'} {', '.join(ordered[:_MOST_SHOWN])}{more}"


def _explain_assertion(cause: Cause, evidence: Evidence, lines: Sequence[str]) -> Cause:
    """Take the traceback's last line as evidence: the signature's pattern matches the place, not the message."""
    traceback = (evidence.traceback or "").strip().splitlines()
    return replace(cause, evidence=traceback[-1]) if traceback else cause


DETAILS: Mapping[str, Detail] = {
    "cuda-oom": _explain_cuda_oom,
    "nccl-timeout": _explain_nccl_timeout,
    "invalid-arguments": _explain_assertion,
}
"""By a signature's name: cause, evidence and matching lines → the cause with details."""
