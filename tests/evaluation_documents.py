"""Result documents of evaluations, made up: what a comparison and a series read of them."""

from collections.abc import Callable, Sequence
from math import exp, log
from typing import Any

import numpy as np

from harness.evaluation.spec import PARTS

type Change = Callable[[dict[str, Any]], object]

TASK, ROLLING = "chapters", "verses"
EXPERTS, LAYERS, WINDOW = 8, 2, 128


def evaluation_document(
    step: int = 100, *, loss: float = 3.0, noise: int = 0, parts: Sequence[str] = PARTS, balance: float = 0.3
) -> dict[str, Any]:
    """One result; `loss` is about the mean a token, `balance` the Gini coefficient, `noise` seeds what varies."""
    made = {
        "loss": ("validation", _validation(loss, noise)),
        "routing": ("routing_stats", _routing(balance)),
        "speed": ("inference_performance", _performance(noise)),
        "cost": ("computational_cost", {"tflops": 0.5, "active_params_billions": 0.01, "convention": "megatron"}),
        "tasks": ("lm_eval", _lm_eval(noise)),
    }
    return {
        "schema_version": 1,
        "step": step,
        "checkpoint_dir": f"/ckpt/iter_{step:07d}",
        "output_file": f"/ckpt/eval/eval_results_{step}.json",
        "eval_timestamp": "2026-01-01T00:00:00+00:00",
        **{key: value for part, (key, value) in made.items() if part in parts},
    }


def _validation(loss: float, noise: int) -> dict[str, Any]:
    """Forty windows, the last one short, whose difficulty is the same for every model."""
    hard = np.random.default_rng(7).normal(0, 0.5, 40)
    own = np.random.default_rng(1000 + noise).normal(0, 0.02, 40)
    tokens = np.full(40, WINDOW)
    tokens[-1] = 17
    nll = tokens * (loss + hard + own)
    mean = float(nll.sum() / tokens.sum())
    return {
        "loss": mean,
        "perplexity": exp(mean),
        "bits_per_byte": mean / log(2),
        "mtp_loss": [mean + 0.5],
        "tokens": int(tokens.sum()),
        "seq_len": WINDOW,
        "precision": "fp32",
        "data": {"sha256": "a" * 64, "tokenizer": None},
        "windows": [[float(total), int(count)] for total, count in zip(nll, tokens, strict=True)],
    }


def _routing(balance: float) -> dict[str, Any]:
    layers = {
        f"layer_{at}": {
            "gini_coefficient": balance + at / 100,
            "coefficient_of_variation": 2 * balance,
            "expert_utilization_rate": 1.0,
            "tokens_per_expert": [10] * EXPERTS,
            "noise": {"gini_coefficient": 0.02, "coefficient_of_variation": 0.04},
        }
        for at in range(LAYERS)
    }
    aggregate = {
        "avg_gini_coefficient": balance + 0.005,
        "avg_coefficient_of_variation": 2 * balance,
        "avg_expert_utilization_rate": 1.0,
    }
    return {**layers, "aggregate": aggregate}


def _performance(noise: int) -> dict[str, Any]:
    latency = 20.0 + noise / 10
    return {
        "latency_ms": latency,
        "latency_ms_p05": latency - 1,
        "latency_ms_p95": latency + 1,
        "throughput_tokens_per_sec": 51_200.0,
        "memory_allocated_gb": 0.25,
        "batch_size": 8,
        "seq_len": WINDOW,
        "device": "cpu",
    }


def _lm_eval(noise: int) -> dict[str, Any]:
    right = np.random.default_rng(2000 + noise).random(200) < 0.4
    mean = float(right.mean())
    results = {"alias": TASK, "acc,none": mean, "acc_stderr,none": float(right.std(ddof=1) / np.sqrt(200))}
    return {
        "results": {TASK: results, ROLLING: {"bits_per_byte,none": 2.5, "bits_per_byte_stderr,none": "N/A"}},
        "higher_is_better": {TASK: {"acc": True}, ROLLING: {"bits_per_byte": False}},
        "versions": {TASK: 1.0, ROLLING: 1.0},
        "n-shot": {TASK: 0, ROLLING: 0},
        "n-samples": {TASK: {"original": 200, "effective": 200}},
        "config": {"limit": None},
        "samples": {TASK: [{"doc_id": at, "acc": float(one)} for at, one in enumerate(right)]},
    }
