"""An evaluation's log read into its result."""

from collections.abc import Mapping
from typing import Any

from harness.evaluation.result import CheckpointFigures, EvaluationResult, EvaluationStep
from harness.evaluation.statements import EVALUATED, EVALUATING
from harness.launch.log.node_statement import NodesInLog
from harness.launch.log.stated_json import count, number, stated_after, text


class EvaluationLogReader:
    """Reads what an evaluation states of each checkpoint; an attempt that begins anew states all of them again."""

    def __init__(self) -> None:
        self._figures: dict[str, CheckpointFigures] = {}
        self._total: int | None = None
        self._nodes = NodesInLog()

    def feed(self, line: str) -> EvaluationStep | None:
        """Take one line; the checkpoint that it says is evaluated, if it says so of one."""
        self._nodes.feed(line)
        if stated := stated_after(EVALUATING, line):
            self._total = count(stated, "total")
        figures = _figures(stated) if (stated := stated_after(EVALUATED, line)) else None
        if figures is None:
            return None
        self._figures[figures.checkpoint] = figures
        done = len(self._figures)
        return EvaluationStep(number=done, total=max(done, self._total or 0), figures=figures)

    @property
    def versions(self) -> Mapping[str, str] | None:
        """Versions by package, as the job's nodes state them."""
        return self._nodes.versions

    @property
    def hosts(self) -> tuple[str, ...] | None:
        """The job's nodes."""
        return self._nodes.hosts

    @property
    def samples(self) -> tuple[Any, ...]:
        """None: each checkpoint has a result of its own."""
        return ()

    def result(self) -> EvaluationResult:
        """What has been read comes to."""
        return EvaluationResult(evaluated=tuple(self._figures.values()), total=self._total)


def _figures(stated: Mapping[str, object]) -> CheckpointFigures | None:
    checkpoint, output_file = text(stated, "checkpoint"), text(stated, "output_file")
    if checkpoint is None or output_file is None:
        return None
    names = ("loss", "perplexity", "gini", "cv", "utilisation", "latency_ms", "tokens_per_s", "walltime_s")
    return CheckpointFigures(
        checkpoint=checkpoint,
        output_file=output_file,
        step=count(stated, "step"),
        tokens=count(stated, "tokens"),
        scores=_scores(stated.get("scores")),
        **{name: number(stated, name) for name in names},
    )


def _scores(stated: object) -> dict[str, float]:
    if not isinstance(stated, dict):
        return {}
    found = {str(name): number(stated, name) for name in stated}
    return {name: value for name, value in found.items() if value is not None}
