"""Speeds of a tiny model."""

import json
from pathlib import Path
from typing import Any

import pytest
from engine_models import ON_CPU
from tiny_checkpoints import convert_tiny

pytestmark = pytest.mark.slow

SPEED = {"warmup": 1, "repeats": 3, "decode_tokens": 4}


@pytest.mark.parametrize(
    ("copies", "mapping"), [(2, ("--expert-model-parallel-size", "2")), (1, ("--pipeline-model-parallel-size", "2"))]
)
def test_speed_of_two_ranks(ranks: Any, tmp_path: Path, copies: int, mapping: tuple[str, ...]) -> None:
    """Medians within their spreads, and throughputs that follow from them: a token over all copies of the model."""
    checkpoint = convert_tiny("Mixtral", tmp_path)
    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps({"speed": SPEED, "output_dir": str(tmp_path), "seq_len": 32, "batch_size": 2}))
    words = (str(asked), str(checkpoint.weights), *checkpoint.flags, *ON_CPU, *mapping)
    job = ranks.run(*words, world_size=2, task="measure_speed_of_ranks")
    assert set(job.exit_codes) == {0}, job.log[-6000:]
    found = json.loads((tmp_path / "speed.json").read_text())
    for section, name in (
        (found, "latency_ms"),
        (found["prefill"], "latency_ms"),
        (found["decode"], "ms_per_token"),
    ):
        assert 0 < section[f"{name}_p05"] <= section[name] <= section[f"{name}_p95"]
    assert found["throughput_tokens_per_sec"] == pytest.approx(2 * 32 * copies * 1e3 / found["latency_ms"])
    prefill, decode = found["prefill"], found["decode"]
    assert prefill["tokens"] == 28
    assert prefill["tokens_per_s"] == pytest.approx(2 * 28 * copies * 1e3 / prefill["latency_ms"])
    assert decode["tokens_per_s"] == pytest.approx(2 * copies * 1e3 / decode["ms_per_token"])
    assert found["memory_allocated_gb"] > 0.05
    assert found["memory_reserved_gb"] is None
    assert (found["batch_size"], found["seq_len"], found["ranks"]) == (2, 32, 2)
    assert {name: found[name] for name in SPEED} == SPEED
