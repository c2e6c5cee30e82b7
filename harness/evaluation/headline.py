"""The headline figures of a result."""

from collections.abc import Mapping
from typing import Any

from harness.evaluation.result import CheckpointFigures

_STDERR = "_stderr"
_UNFILTERED = ",none"


def figures_of(document: Mapping[str, Any], output_file: str) -> CheckpointFigures:
    """What is told of a result in a line; None for what was not measured, or is no number."""
    loss, speed = document.get("validation", {}), document.get("inference_performance", {})
    routing = document.get("routing_stats", {}).get("aggregate", {})
    return CheckpointFigures(
        checkpoint=document["checkpoint_dir"],
        output_file=output_file,
        step=document["step"],
        loss=loss.get("loss"),
        perplexity=loss.get("perplexity"),
        tokens=loss.get("tokens"),
        gini=routing.get("avg_gini_coefficient"),
        cv=routing.get("avg_coefficient_of_variation"),
        utilisation=routing.get("avg_expert_utilization_rate"),
        latency_ms=speed.get("latency_ms"),
        tokens_per_s=speed.get("throughput_tokens_per_sec"),
        scores=_scores(document.get("lm_eval", {}).get("results", {})),
        walltime_s=document["walltime_seconds"],
    )


def _scores(results: Mapping[str, Mapping[str, object]]) -> dict[str, float]:
    """Scores by `TASK METRIC`, without standard errors. lm-eval says a metric as `acc,FILTER`."""
    return {
        f"{task} {name.removesuffix(_UNFILTERED)}": float(score)
        for task, metrics in results.items()
        for name, score in metrics.items()
        if isinstance(score, (int, float)) and "," in name and _STDERR not in name
    }
