"""What an evaluation states in its run's log."""

from typing import Any

from harness.evaluation.statements import evaluated

COMMON = {"checkpoint_dir": "/ckpt/iter_0000100", "step": 100, "walltime_seconds": 2.5}
MEANS = {
    "avg_gini_coefficient": 0.1,
    "avg_coefficient_of_variation": 0.2,
    "avg_expert_utilization_rate": 1.0,
    "layers": 3,
}


def test_headlines_of_all_parts() -> None:
    """Scores without standard errors and without what is no number; figures by the names that the document has."""
    metrics = {"alias": "hellaswag", "acc,none": 0.25, "acc_stderr,none": 0.01, "acc_norm,none": 0.5}
    document: dict[str, Any] = {
        **COMMON,
        "validation": {"loss": 2.0, "perplexity": 7.4, "tokens": 100, "stderr": 0.1},
        "routing_stats": {"aggregate": MEANS},
        "inference_performance": {"latency_ms": 3.0, "throughput_tokens_per_sec": 1000.0},
        "lm_eval": {"results": {"hellaswag": metrics}},
    }
    assert evaluated(document, "/out/eval_results_1.json", kept=False) == {
        "checkpoint": "/ckpt/iter_0000100",
        "step": 100,
        "output_file": "/out/eval_results_1.json",
        "loss": 2.0,
        "perplexity": 7.4,
        "tokens": 100,
        "latency_ms": 3.0,
        "throughput_tokens_per_sec": 1000.0,
        "avg_gini_coefficient": 0.1,
        "avg_coefficient_of_variation": 0.2,
        "avg_expert_utilization_rate": 1.0,
        "tasks": {"hellaswag": {"acc,none": 0.25, "acc_norm,none": 0.5}},
        "walltime_s": 2.5,
        "kept": False,
    }


def test_what_was_not_measured_is_left_out() -> None:
    """Nor does a loss that is no number stand there."""
    document = {**COMMON, "validation": {"loss": None, "perplexity": None, "tokens": 100}, "routing_stats": {}}
    stated = evaluated(document, "/out/r.json", kept=True)
    assert stated.keys() == {"checkpoint", "step", "output_file", "tokens", "walltime_s", "kept"}
