"""The signatures of causes, `signatures.yaml`, read only where a job has failed or may be retried."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from harness.launch.script.slurm_job import RetryPatterns

DATA = Path(__file__).with_name("signatures.yaml")

type Kind = Literal["permanent", "exception", "transient", "aftermath"]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One cause of failure: what shows it, what it means (`text`) and what to change.

    `patterns` mean the same to Python's re and to `grep -E`. `states` are Slurm's, `exit_codes` a rank's.
    A transient one passes by itself; an exception says no more than that Python raised; an aftermath is what ranks show
    when another one is gone. What a tentative one matches is also printed by programs that go on. `source` says where
    the patterns are from.
    """

    name: str
    text: str
    change: str
    patterns: tuple[str, ...]
    source: str
    kind: Kind = "permanent"
    tentative: bool = False
    states: tuple[str, ...] = ()
    exit_codes: tuple[int, ...] = ()

    @property
    def transient(self) -> bool:
        """Whether the same job may well succeed when it is started again."""
        return self.kind == "transient"

    @property
    def persistent(self) -> bool:
        """Whether the same job would fail again."""
        return self.kind in ("permanent", "exception")

    @property
    def weak(self) -> bool:
        """Whether a program that caught it, and goes on, prints the same."""
        return self.tentative or self.kind == "exception"


@cache
def signatures() -> tuple[Signature, ...]:
    """Read all of them, in order of precedence: root causes, then transient ones, then aftermaths."""
    import yaml  # imported late: only a failed run needs it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(DATA.read_text(encoding="utf-8"), Loader=loader)
    return tuple(Signature(**{key: _tuple(value) for key, value in entry.items()}) for entry in entries)


def pattern_of(found: Iterable[Signature]) -> str:
    """Join the patterns of signatures into one extended regular expression, for `LC_ALL=C grep -E` and for re."""
    return "|".join(pattern for signature in found for pattern in signature.patterns)


def retry_patterns() -> RetryPatterns:
    """The patterns by which a job's script decides whether to start anew."""
    persistent = [it for it in signatures() if it.persistent]
    return RetryPatterns(
        transient=tuple((it.name, pattern_of([it])) for it in signatures() if it.transient and it.patterns),
        permanent=pattern_of(it for it in persistent if not it.weak),
        weak=pattern_of(it for it in persistent if it.weak),
    )


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
