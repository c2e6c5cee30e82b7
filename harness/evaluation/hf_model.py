"""lm-eval's own `hf` model as an evaluation asks it: by what arguments, so that it answers as our own does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.evaluation.spec import EvaluationSpec

DTYPES: Mapping[str, str] = {"bf16": "bfloat16", "fp32": "float32"}
"""The names that torch has for the precisions that it computes in, by ours (PR)."""


def hf_arguments(spec: EvaluationSpec, folder: Path) -> dict[str, Any]:
    """The arguments of the model on a Hugging Face folder, with the tokenizer and longest sequence of our own."""
    return {
        "pretrained": str(folder),
        "tokenizer": spec.data.tokenizer,
        "dtype": DTYPES[spec.settings["PR"]],
        "device": "cpu" if _on_cpu(spec) else "cuda",
        "batch_size": hf_batch_size(spec),
        "max_length": hf_max_length(spec),
    }


def hf_batch_size(spec: EvaluationSpec) -> int | str:
    """Sequences a batch. `auto` is 1 on a CPU, where lm-eval's search for the largest takes longer than the tasks."""
    asked = spec.tasks.batch_size if spec.tasks else 0
    return asked or (1 if _on_cpu(spec) else "auto")


def hf_max_length(spec: EvaluationSpec) -> int:
    """The most tokens that are read at once: all positions that the network has, as for our own model."""
    return int(spec.model_args.get("--max-position-embeddings") or spec.seq_len)


def _on_cpu(spec: EvaluationSpec) -> bool:
    return spec.settings.get("DEVICE") == "cpu"
