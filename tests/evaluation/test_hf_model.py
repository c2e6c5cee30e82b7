"""By what lm-eval's `hf` model is asked, and the job that asks it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.evaluation.hf_job import hf_job, hf_spec
from harness.evaluation.hf_model import hf_arguments
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec, TaskOptions, ValidationData

SPEC = EvaluationSpec(
    model="Mixtral-8x7B",
    checkpoints=(EvaluatedCheckpoint(folder="/ckpt/iter_0000050", step=50, fingerprint="f"),),
    parts=("tasks",),
    data=ValidationData(files=("/text",), tokenizer="/tok"),
    output_dir="/out",
    seq_len=64,
    batch_size=8,
    max_tokens=100,
    ep=2,
    tasks=TaskOptions(tasks=("arc_easy",)),
    settings={"PR": "bf16", "DEVICE": "cpu", "TP": "2"},
    model_args={"--max-position-embeddings": "4096", "--vocab-size": "300", "--tensor-model-parallel-size": "2"},
)


@pytest.mark.parametrize(
    ("device", "asked", "expected"), [("cpu", 0, 1), ("gpu", 0, "auto"), ("gpu", 4, 4), ("cpu", 4, 4)]
)
def test_arguments(device: str, asked: int, expected: object) -> None:
    """On a CPU its search for the largest batch would take longer than the tasks; lengths are our own model's."""
    tasks = TaskOptions(tasks=("a",), batch_size=asked)
    found = hf_arguments(replace(SPEC, tasks=tasks, settings={**SPEC.settings, "DEVICE": device}), Path("/hf"))
    assert found == {
        "pretrained": "/hf",
        "tokenizer": "/tok",
        "dtype": "bfloat16",
        "device": "cpu" if device == "cpu" else "cuda",
        "batch_size": expected,
        "max_length": 4096,
    }
    assert hf_arguments(replace(SPEC, model_args={}), Path("/hf"))["max_length"] == 64


def test_what_is_measured_is_not_the_engines_and_has_no_mapping() -> None:
    """A result of the one backend is none of the other, and one is found again whatever the mapping was."""
    (checkpoint,) = SPEC.checkpoints
    other = replace(SPEC, ep=4, settings={**SPEC.settings, "TP": "1"}, model_args={**SPEC.model_args, "--bf16": "True"})
    assert hf_spec(SPEC).identity(checkpoint) == hf_spec(other).identity(checkpoint)
    assert replace(hf_spec(SPEC), backend="megatron").identity(checkpoint) != hf_spec(SPEC).identity(checkpoint)


def test_job(configured: Callable[..., Resolved]) -> None:
    """One process on one node, whatever the mapping asks for, and a folder of its own for what is converted."""
    job = hf_job(configured(NNODES=4, PR="bf16"), "slurm", hf_spec(SPEC), python="/venv/python")
    assert (job.kind, job.resources.ranks, job.program.distributed) == ("evaluation", 1, False)
    assert job.program.argv[:6] == ("/venv/python", "-u", "-m", "harness", "eval", "hf-worker")
    assert job.program.argv[6:] == (hf_spec(SPEC).as_json(), "${RUN_DIR}/hf")


def test_what_it_cannot_do(configured: Callable[..., Resolved]) -> None:
    """All of it at once."""
    bytes_alone: Any = replace(SPEC, data=ValidationData(files=("/text",)))
    with pytest.raises(ConfigError) as raised:
        hf_job(configured(PR="fp8"), "local", hf_spec(bytes_alone))
    assert raised.value.problems == (
        "PR=fp8: --backend hf computes in bf16 or fp32; set one of them",
        "--backend hf needs a Hugging Face tokenizer, and this model reads bytes; give its folder with"
        " TOKENIZER_MODEL, or leave --backend out",
    )
