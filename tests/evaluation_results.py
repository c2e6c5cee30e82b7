"""A result of an evaluation with every section, as tests read, write and show it."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from routing_samples import uniform_routing

from harness.evaluation.document import result_document
from harness.evaluation.routing.stats import routing_stats
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec, TaskOptions, ValidationData

CHECKPOINT = EvaluatedCheckpoint(folder="/runs/a/checkpoints", step=150, fingerprint="f00d")
SPEC = EvaluationSpec(
    model="DeepSeek-V2-Lite",
    checkpoints=(CHECKPOINT,),
    parts=("loss", "routing", "speed", "cost", "tasks"),
    data=ValidationData(files=("held-out.txt",), fingerprint="beef"),
    output_dir="/runs/a/eval",
    seq_len=64,
    batch_size=2,
    max_tokens=4096,
    tasks=TaskOptions(tasks=("arc_easy",)),
    settings={"PR": "fp32"},
    model_args={"--num-experts": "8"},
)
MADE = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)


def routing_section() -> dict[str, Any]:
    """Two layers and an MTP layer of 8 experts in 2 groups: random, all in one expert, and random."""
    experts = {"layer_1": uniform_routing(400, 8, 2), "layer_10": np.full((400, 2), 65535, np.uint16)}
    experts["layer_10"][:, 0] = 3
    experts["mtp_0"] = uniform_routing(400, 8, 2, seed=1)
    ids = np.arange(400, dtype=np.int32) % 7
    return routing_stats(experts, ids, num_experts=8, batch_tokens=[128, 128, 128, 16], groups=2, ep=2)


def sections() -> dict[str, Any]:
    """Everything that may be measured."""
    return {
        "validation": {
            "loss": 2.5,
            "perplexity": 12.182494,
            "tokens": 400,
            "bits_per_byte": 3.6067,
            "stderr": 0.0625,
            "tokens_not_finite": 0,
            "windows": [[160.0, 64], [840.0, 336]],
            "mtp_loss": {"mtp_0": 2.75, "mtp_1": 3.0},
            "data": {
                "files": ["held-out.txt"],
                "sha256": "ab" * 32,
                "documents": 2,
                "truncated": True,
                "seq_len": 64,
                "rule": "documents are joined; windows of 64 tokens do not overlap",
            },
        },
        "routing_stats": routing_section(),
        "inference_performance": {
            "latency_ms": 12.5,
            "latency_ms_p05": 12.0,
            "latency_ms_p95": 14.25,
            "throughput_tokens_per_sec": 10240.0,
            "memory_allocated_gb": 1.5,
            "memory_reserved_gb": None,
            "batch_size": 2,
            "seq_len": 64,
            "warmup": 2,
            "repeats": 5,
            "prefill": {"latency_ms": 11.5, "tokens_per_s": 11130.4},
            "decode": {"ms_per_token": 3.25, "tokens_per_s": 615.4},
        },
        "computational_cost": {
            "tflops": 0.0125,
            "tflops_per_s": 1.0,
            "flops_per_token": {"megatron": 97656250.0},
            "active_params_billions": 0.00275,
            "convention": {"flops": "forward only"},
        },
        "lm_eval": {
            "results": {
                "arc_easy": {"alias": "arc_easy", "acc,none": 0.25, "acc_stderr,none": 0.0125, "acc_norm,none": 0.5},
                "wiki": {"alias": "wiki", "bits_per_byte,none": 2.655, "bits_per_byte_stderr,none": "N/A"},
            },
            "n-samples": {"arc_easy": {"original": 100, "effective": 100}},
        },
    }


def whole_result(**measured: Any) -> dict[str, Any]:
    """The document of these sections, or of all."""
    return result_document(
        SPEC,
        CHECKPOINT,
        measured or sections(),
        walltime_s=3.25,
        versions={"moe-harness": "0.1.0", "torch": "2.13.0"},
        world={"tp": 1, "pp": 1, "ep": 2, "etp": 1, "dp": 2, "ranks": 2},
        timestamp=MADE,
    )
