"""A conversion's log read into its result."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from harness.checkpoint.conversion_facts import ConversionFacts
from harness.conversion.result import ConversionResult, ConversionStep
from harness.conversion.statements import DONE, FACTS, PROGRESS
from harness.launch.log.node_statement import NodesInLog
from harness.launch.log.stated_json import count, number, stated_after, text


class ConversionLogReader:
    """Reads the statements of a conversion and of its node; the newest of each counts."""

    def __init__(self, result: ConversionResult | None) -> None:
        self._result = result or ConversionResult()
        self._nodes = NodesInLog()

    def feed(self, line: str) -> ConversionStep | None:
        """Take one line; how far the conversion is, if it says so."""
        self._nodes.feed(line)
        if stated := stated_after(FACTS, line):
            self._result = ConversionResult(facts=_facts(stated), target=text(stated, "target"))
        if stated := stated_after(DONE, line):
            self._result = replace(self._result, elapsed_s=number(stated, "elapsed_s"))
        step = _step(stated) if (stated := stated_after(PROGRESS, line)) else None
        if step:
            self._result = replace(
                self._result,
                total_bytes=step.total_bytes,
                done_bytes=step.done_bytes,
                bytes_per_s=step.bytes_per_s or self._result.bytes_per_s,
            )
        return step

    @property
    def versions(self) -> Mapping[str, str] | None:
        """Versions by package, as the job's node states them."""
        return self._nodes.versions

    @property
    def hosts(self) -> tuple[str, ...] | None:
        """The job's node."""
        return self._nodes.hosts

    @property
    def samples(self) -> tuple[Any, ...]:
        """None are kept: how far a conversion was at some moment tells nothing once it is done."""
        return ()

    def result(self) -> ConversionResult:
        """What has been read comes to."""
        return self._result


def _facts(stated: Mapping[str, object]) -> ConversionFacts | None:
    """None where a value is absent or of another type."""
    values = {item.name: stated.get(item.name) for item in fields(ConversionFacts)}
    types = {item.name: int if item.type in (int, "int") else str for item in fields(ConversionFacts)}
    if not all(type(value) is types[name] for name, value in values.items()):
        return None
    known: dict[str, Any] = values
    return ConversionFacts(**known)


def _step(stated: Mapping[str, object]) -> ConversionStep | None:
    total, done, before = (count(stated, name) for name in ("total", "done", "done_before"))
    elapsed_s = number(stated, "elapsed_s")
    if total is None or done is None or before is None or elapsed_s is None:
        return None
    return ConversionStep(total_bytes=total, done_bytes=done, done_before_bytes=before, elapsed_s=elapsed_s)
