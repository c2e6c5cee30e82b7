"""What must be equal for two runs to have done the same work, so that their speeds can be set side by side."""

from collections.abc import Mapping
from typing import Any

from harness.compare.likeness import Condition
from harness.compare.measured_run import MeasuredRun

_NAMES = {
    "model": "model",
    "scaling": "scaled down by",
    "layers": "number of layers",
    "seq_len": "sequence length",
    "precision": "precision",
    "routing": "routing",
    "mtp_layers": "MTP layers",
    "flops_per_token": "FLOPs convention: FLOPs a token",
    "window_rule": "step window",
}
_FORCED = "--moe-router-force-load-balancing"


def run_conditions(documents: list[dict[str, Any]]) -> tuple[Condition, ...]:
    """The conditions on these; what not all of them know, as without a step yet, is none."""
    return tuple(
        Condition(words, [key], shown=False)
        for key, words in _NAMES.items()
        if key == "scaling" or all(document[key] is not None for document in documents)
    )


def run_document(run: MeasuredRun) -> dict[str, Any]:
    """What decides the work of a run, by the names of conditions; what was in effect rather than what was asked."""
    record, result = run.record, run.result
    flags = record.resolved.megatron_args
    asked = result.asked if result else None
    setup = result.in_effect.setup if result and result.in_effect else None
    mtp_layers = setup.mtp_layers if setup and setup.mtp_layers is not None else flags.integer("--mtp-num-layers")
    return {
        "model": record.model or record.resolved.text("TRAINING_PARAMS_PATH") or None,
        "scaling": record.resolved.text("PROXY") or None,
        "layers": flags.integer("--num-layers") or None,
        "seq_len": flags.integer("--seq-length") or None,
        "precision": (setup and setup.precision) or (asked and asked.precision) or record.resolved.text("PR") or None,
        "routing": "forced balance" if _is_forced(flags) else "real",
        "mtp_layers": mtp_layers or 0,
        "flops_per_token": _flops_per_token(run),
        "window_rule": run.summary.window_rule if run.summary else None,
    }


def _is_forced(flags: Mapping[str, object]) -> bool:
    return bool(flags.get(_FORCED))


def _flops_per_token(run: MeasuredRun) -> str | None:
    """In six digits: of one network, sequence length and convention it is the same whatever the mapping and batch."""
    summary = run.summary
    if summary is None or not (summary.flops_per_step and summary.tokens_per_s and summary.median_s):
        return None
    return f"{summary.flops_per_step / (summary.tokens_per_s * summary.median_s):.6g}"
