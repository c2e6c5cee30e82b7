"""Result documents of evaluations, made up: what a comparison and a series read of them."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from math import exp, log
from typing import Any

import numpy as np

from harness.evaluation.document import SCHEMA_VERSION
from harness.evaluation.routing.stats import routing_stats
from harness.evaluation.spec import PARTS

type Change = Callable[[dict[str, Any]], object]

TASK, ROLLING = "chapters", "verses"
EXPERTS, LAYERS, WINDOW, WINDOWS, LAST = 8, 2, 128, 40, 17
TOKENS = WINDOW * (WINDOWS - 1) + LAST


def evaluation_document(
    step: int = 100, *, loss: float = 3.0, noise: int = 0, parts: Sequence[str] = PARTS, skew: float = 0.05
) -> dict[str, Any]:
    """One result; `loss` is about the mean a token, `skew` how uneven the routing, `noise` seeds what varies."""
    made = {
        "loss": ("validation", _validation(loss, noise)),
        "routing": ("routing_stats", deepcopy(_routing(skew, noise))),
        "speed": ("inference_performance", _performance(noise)),
        "cost": (
            "computational_cost",
            {"tflops": 0.5, "active_params_billions": 0.01, "convention": {"flops": "forward"}},
        ),
        "tasks": ("lm_eval", _lm_eval(noise)),
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "identity": f"of step {step}",
        "model": "tiny",
        "step": step,
        "checkpoint_dir": f"/ckpt/iter_{step:07d}",
        "output_file": f"/ckpt/eval/eval_results_{step}.json",
        "walltime_seconds": 3.5,
        "parts": list(parts),
        "seed": 1337,
        "mapping": {"tp": 1, "pp": 1, "ep": 1, "etp": 1, "dp": 1, "ranks": 1},
        "model_args": {},
        "versions": {},
        "config": {"PR": "fp32"},
        "evaluation": {
            "checkpoint_fingerprint": "c0",
            "data": {"files": ["held-out.txt"], "format": "text", "tokenizer": None, "fingerprint": "f0"},
            "max_tokens": 100_000,
            "seq_len": WINDOW,
            "batch_size": 8,
            "ep": 2,
            "tasks": {"tasks": [TASK, ROLLING], "num_fewshot": None, "limit": None, "apply_chat_template": False},
            "speed": {"warmup": 2, "repeats": 5, "decode_tokens": 16},
        },
        "eval_timestamp": "2026-01-01T00:00:00Z",
        **{key: value for part, (key, value) in made.items() if part in parts},
    }


def _validation(loss: float, noise: int) -> dict[str, Any]:
    """Forty windows, the last one short, whose difficulty is the same for every model."""
    hard = np.random.default_rng(7).normal(0, 0.5, WINDOWS)
    own = np.random.default_rng(1000 + noise).normal(0, 0.02, WINDOWS)
    tokens = np.full(WINDOWS, WINDOW)
    tokens[-1] = LAST
    nll = tokens * (loss + hard + own)
    mean = float(nll.sum() / tokens.sum())
    return {
        "loss": mean,
        "perplexity": exp(mean),
        "bits_per_byte": mean / log(2),
        "mtp_loss": {"mtp_0": mean + 0.5},
        "tokens": int(tokens.sum()),
        "data": {"files": ["held-out.txt"], "sha256": "a" * 64, "seq_len": WINDOW, "rule": "windows without overlap"},
        "windows": [[float(total), int(count)] for total, count in zip(nll, tokens, strict=True)],
    }


@cache
def _routing(skew: float, noise: int) -> dict[str, Any]:
    """Two of eight experts a token, of which the first are the more likely the higher `skew` is."""
    rng = np.random.default_rng(3000 + noise)
    likely = rng.gumbel(size=(LAYERS, TOKENS, EXPERTS)) - skew * np.arange(EXPERTS)
    experts = np.argsort(-likely, axis=-1)[..., :2].astype(np.uint16)
    return routing_stats(
        {f"layer_{at}": of for at, of in enumerate(experts)},
        rng.integers(0, 256, TOKENS, np.int32),
        num_experts=EXPERTS,
        batch_tokens=[TOKENS],
        groups=None,
        ep=2,
    )


def _performance(noise: int) -> dict[str, Any]:
    latency = 20.0 + noise / 10
    return {
        "latency_ms": latency,
        "latency_ms_p05": latency - 1,
        "latency_ms_p95": latency + 1,
        "throughput_tokens_per_sec": 8 * WINDOW / latency * 1000,
        "memory_allocated_gb": 0.25,
        "memory_reserved_gb": None,
        "prefill": {"latency_ms": latency - 5, "latency_ms_p05": latency - 6, "latency_ms_p95": latency - 4},
        "decode": {"ms_per_token": 2.0, "ms_per_token_p05": 1.5, "ms_per_token_p95": 2.5, "tokens_per_s": 4000.0},
        "batch_size": 8,
        "seq_len": WINDOW,
    }


def _lm_eval(noise: int) -> dict[str, Any]:
    right = np.random.default_rng(2000 + noise).random(200) < 0.4
    mean = float(right.mean())
    texts = [[-float(100 + at + right[at]), 70.0] for at in range(20)]  # log-likelihood and bytes
    bits = -sum(likelihood for likelihood, _ in texts) / (70 * 20) / log(2)
    results = {"alias": TASK, "acc,none": mean, "acc_stderr,none": float(right.std(ddof=1) / np.sqrt(200))}
    return {
        "results": {TASK: results, ROLLING: {"bits_per_byte,none": bits, "bits_per_byte_stderr,none": None}},
        "higher_is_better": {TASK: {"acc": True}, ROLLING: {"bits_per_byte": False}},
        "versions": {TASK: 1.0, ROLLING: 1.0},
        "n-shot": {TASK: 0, ROLLING: 0},
        "n-samples": {TASK: {"original": 200, "effective": 200}},
        "seeds": {"fewshot_random_seed": 1337},
        "chat_template_sha": None,
        "tasks": [TASK, ROLLING],
        "limit": None,
        "max_length": WINDOW,
        "samples": {
            TASK: [{"doc_id": at, "filter": "none", "acc": float(one)} for at, one in enumerate(right)],
            ROLLING: [{"doc_id": at, "filter": "none", "bits_per_byte": text} for at, text in enumerate(texts)],
        },
    }
