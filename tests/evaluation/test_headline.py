"""The headline figures of a result."""

from typing import Any

from harness.evaluation.headline import figures_of
from harness.evaluation.result import CheckpointFigures

COMMON = {"checkpoint_dir": "/ckpt/iter_0000100", "step": 100, "walltime_seconds": 2.5}
MEANS = {
    "avg_gini_coefficient": 0.1,
    "avg_coefficient_of_variation": 0.2,
    "avg_expert_utilization_rate": 1.0,
    "layers": 3,
}


def test_figures_of_all_parts() -> None:
    """Scores without standard errors and without what is no number."""
    metrics = {"alias": "hellaswag", "acc,none": 0.25, "acc_stderr,none": 0.01, "exact_match,strict": 1, "bleu": 3.0}
    document: dict[str, Any] = {
        **COMMON,
        "validation": {"loss": 2.0, "perplexity": 7.4, "tokens": 100, "stderr": 0.1},
        "routing_stats": {"aggregate": MEANS},
        "inference_performance": {"latency_ms": 3.0, "throughput_tokens_per_sec": 1000.0},
        "lm_eval": {"results": {"hellaswag": metrics}},
    }
    assert figures_of(document, "/out/eval_results_1.json") == CheckpointFigures(
        checkpoint="/ckpt/iter_0000100",
        output_file="/out/eval_results_1.json",
        step=100,
        loss=2.0,
        perplexity=7.4,
        tokens=100,
        gini=0.1,
        cv=0.2,
        utilisation=1.0,
        latency_ms=3.0,
        tokens_per_s=1000.0,
        scores={"hellaswag acc": 0.25, "hellaswag exact_match,strict": 1.0},
        walltime_s=2.5,
    )


def test_what_was_not_measured_is_none() -> None:
    """So is a loss that is no number."""
    document = {**COMMON, "validation": {"loss": None, "perplexity": None, "tokens": 100}, "routing_stats": {}}
    assert figures_of(document, "r.json") == CheckpointFigures(
        checkpoint="/ckpt/iter_0000100", output_file="r.json", step=100, tokens=100, walltime_s=2.5
    )
