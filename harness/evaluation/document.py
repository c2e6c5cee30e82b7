"""The result of one evaluation as a JSON document, by the names that users of such files know."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec

SCHEMA_VERSION = 1
"""Raised where a reader of the older version would misread the newer one."""
SECTIONS = ("validation", "routing_stats", "inference_performance", "computational_cost", "lm_eval")
"""What was measured; a part that was not asked for, or could not be measured, is left out."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"


def result_document(
    spec: EvaluationSpec,
    checkpoint: EvaluatedCheckpoint,
    sections: Mapping[str, Any],
    *,
    walltime_s: float,
    versions: Mapping[str, str],
    world: Mapping[str, int],
    timestamp: datetime,
) -> dict[str, Any]:
    """The document of what was measured of one checkpoint; its `output_file` is none until it is written.

    `sections` are some of SECTIONS; `world` holds tp, pp, ep, etp, dp and ranks; `timestamp` knows its time zone, and
    is written in UTC. `evaluation` is what makes two results alike or not: data, tasks, lengths. NaN and the infinities
    are the texts `nan`, `inf` and `-inf`. ValueError for a section of another name.
    """
    if unknown := sections.keys() - set(SECTIONS):
        raise ValueError(f"no sections of a result: {sorted(unknown)}")
    document = {
        "schema_version": SCHEMA_VERSION,
        "identity": spec.identity(checkpoint),
        "again": spec.again,
        "model": spec.model,
        "checkpoint_dir": checkpoint.folder,
        "step": checkpoint.step,
        "eval_timestamp": timestamp.astimezone(UTC).strftime(_TIME),
        "walltime_seconds": walltime_s,
        "output_file": None,
        "parts": spec.parts,
        "seed": spec.seed,
        "mapping": world,
        "evaluation": _conditions(spec, checkpoint),
        "config": spec.settings,
        "model_args": spec.model_args,
        "versions": versions,
        **{name: sections[name] for name in SECTIONS if name in sections},
    }
    return {name: _json_value(value) for name, value in document.items()}


def moment_of(document: Mapping[str, Any]) -> datetime:
    """When the evaluation was made; ValueError where `eval_timestamp` is no such time."""
    return datetime.strptime(str(document["eval_timestamp"]), _TIME).replace(tzinfo=UTC)


def _conditions(spec: EvaluationSpec, checkpoint: EvaluatedCheckpoint) -> dict[str, Any]:
    return {
        "checkpoint_fingerprint": checkpoint.fingerprint,
        "data": asdict(spec.data),
        "seq_len": spec.seq_len,
        "batch_size": spec.batch_size,
        "max_tokens": spec.max_tokens,
        "ep": spec.ep,
        "tasks": asdict(spec.tasks) if spec.tasks else None,
        "speed": asdict(spec.speed),
    }


def _json_value(value: Any) -> Any:
    """The same of mappings, lists and tuples, with texts for numbers that JSON lacks."""
    if isinstance(value, Mapping):
        return {str(name): _json_value(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    return value
