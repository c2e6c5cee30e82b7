"""What an evaluation states of itself in its run's log, a line each that goes on with a JSON object."""

from collections.abc import Mapping
from typing import Any

EVALUATING, EVALUATED, SATURATION = "evaluating", "evaluated", "router saturation"
"""Each behind `moe-harness: `: a checkpoint's evaluation begins, its result is there, and what a series adds."""

_FIGURES = (
    ("loss", "validation", "loss"),
    ("perplexity", "validation", "perplexity"),
    ("tokens", "validation", "tokens"),
    ("latency_ms", "inference_performance", "latency_ms"),
    ("throughput_tokens_per_sec", "inference_performance", "throughput_tokens_per_sec"),
)
_MEANS = ("avg_gini_coefficient", "avg_coefficient_of_variation", "avg_expert_utilization_rate")
_STDERR = "_stderr"


def evaluated(document: Mapping[str, Any], output_file: str, *, kept: bool) -> dict[str, Any]:
    """The statement of a finished result: where it is, and its headline figures, without those not measured.

    `tasks` are the scores of each task by metric; `kept` says that the result was there before.
    """
    figures = {name: document.get(section, {}).get(figure) for name, section, figure in _FIGURES}
    aggregate = document.get("routing_stats", {}).get("aggregate", {})
    figures |= {name: aggregate.get(name) for name in _MEANS}
    return {
        "checkpoint": document["checkpoint_dir"],
        "step": document["step"],
        "output_file": output_file,
        **{name: figure for name, figure in figures.items() if figure is not None},
        **({"tasks": scores} if (scores := _scores(document)) else {}),
        "walltime_s": document["walltime_seconds"],
        "kept": kept,
    }


def _scores(document: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Each task's metrics, without their standard errors: `acc,none` and `exact_match,strict-match` as lm-eval says."""
    results = document.get("lm_eval", {}).get("results", {})
    return {
        task: {
            metric: score
            for metric, score in metrics.items()
            if isinstance(score, float) and _STDERR not in metric and "," in metric
        }
        for task, metrics in results.items()
    }
