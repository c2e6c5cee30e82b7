"""The flat figures of a training run: its columns among all runs."""

from collections.abc import Mapping
from typing import Any

from harness.config.provenance import Resolved
from harness.training.result import TrainingResult

TRAINING_TYPES = {
    "dp": "BIGINT",
    "mbs": "BIGINT",
    "gbs": "BIGINT",
    "grouped_gemm": "BOOLEAN",
    "mtp_layers": "BIGINT",
    "device": "VARCHAR",
    "gpu": "VARCHAR",
    "not_as_asked": "VARCHAR",
    "step_time_s": "DOUBLE",
    "step_time_p05_s": "DOUBLE",
    "step_time_p95_s": "DOUBLE",
    "steps_used": "BIGINT",
    "tokens_per_s": "DOUBLE",
    "tokens_per_s_per_gpu": "DOUBLE",
    "tflops_per_gpu": "DOUBLE",
    "tflops_per_gpu_printed": "DOUBLE",
    "mfu": "DOUBLE",
    "peak_memory_bytes": "BIGINT",
    "loss_first": "DOUBLE",
    "loss": "DOUBLE",
    "validation_loss": "DOUBLE",
    "skipped_steps": "BIGINT",
    "nan_steps": "BIGINT",
    "restarts": "BIGINT",
}


def training_columns(resolved: Resolved, result: TrainingResult | None) -> Mapping[str, Any]:
    """The values by column; what is in effect wins over what was asked. Columns of which nothing is known are left out.

    `not_as_asked` names the settings that were not in effect as asked, with commas between.
    """
    values: dict[str, Any] = {"mbs": resolved.settings.get("MBS"), "gbs": resolved.settings.get("GBS")}
    if result is None:
        return values
    return {**values, **_setup(result), **_figures(result)}


def _setup(result: TrainingResult) -> dict[str, Any]:
    stated = result.in_effect
    names = ("tp", "pp", "vpp", "ep", "etp", "cp", "dp", "dispatcher", "precision", "grouped_gemm", "mtp_layers")
    found = {name: getattr(stated.setup, name) if stated else None for name in names}
    return {
        **{name: getattr(result.asked, name) if value is None else value for name, value in found.items()},
        "gpus": result.world_size,
        "device": stated.device if stated else None,
        "gpu": stated.gpu if stated else None,
        "not_as_asked": ", ".join(difference.name for difference in result.differences) or None,
    }


def _figures(result: TrainingResult) -> dict[str, Any]:
    summary = result.summary
    if summary is None:
        return {}
    return {
        "step_time_s": summary.median_s,
        "step_time_p05_s": summary.p05_s,
        "step_time_p95_s": summary.p95_s,
        "steps_used": summary.n_used,
        "tokens_per_s": summary.tokens_per_s,
        "tokens_per_s_per_gpu": summary.tokens_per_s_per_gpu,
        "tflops_per_gpu": summary.tflops_per_gpu,
        "tflops_per_gpu_printed": summary.tflops_per_gpu_printed,
        "mfu": summary.mfu,
        "peak_memory_bytes": summary.peak_memory_bytes,
        "loss_first": summary.loss_first,
        "loss": summary.loss_last,
        "validation_loss": summary.validation_loss,
        "skipped_steps": summary.skipped,
        "nan_steps": summary.nan,
        "restarts": summary.restarts,
    }
