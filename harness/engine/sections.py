"""The sections of a result: what is measured of the loaded checkpoint, in the order in which they are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.engine.command_line import command_line_flags
from harness.engine.evaluation_passes import WindowMeasurements, measure
from harness.engine.session import ModelSession
from harness.engine.speed import measure_speed
from harness.engine.tasks import answer_tasks
from harness.evaluation.cost import computational_cost
from harness.evaluation.loss import validation
from harness.evaluation.routing.stats import routing_stats
from harness.evaluation.spec import EvaluationSpec
from harness.evaluation.windows import Windows, read_windows


@dataclass(frozen=True, kw_only=True)
class Sections:
    """What the first rank has of one checkpoint: the result's sections, and experts [T, k] of tokens by layer."""

    measured: Mapping[str, Any]
    experts: Mapping[str, NDArray[np.uint16]]


def read_evaluated(spec: EvaluationSpec, session: ModelSession) -> Windows | None:
    """The validation data, where loss or routing are measured."""
    if not {"loss", "routing"} & set(spec.parts):
        return None
    vocab_size = session.args.vocab_size
    return read_windows(spec.data, vocab_size=vocab_size, seq_len=spec.seq_len, max_tokens=spec.max_tokens)


def measure_sections(spec: EvaluationSpec, session: ModelSession, windows: Windows | None) -> Sections:
    """Measure all parts of `spec`. Every rank calls it, and only the first one's sections hold anything."""
    sections: dict[str, Any] = {}
    experts: Mapping[str, NDArray[np.uint16]] = {}
    if windows is not None:
        found = measure(session, windows, spec.batch_size, loss="loss" in spec.parts, routing="routing" in spec.parts)
        if found:
            sections |= _of_windows(spec, windows, found)
            experts = found.experts
    if "speed" in spec.parts and (speed := measure_speed(session, spec)):
        sections["inference_performance"] = speed
    if "cost" in spec.parts:
        tokens_per_s = sections.get("inference_performance", {}).get("throughput_tokens_per_sec")
        sections["computational_cost"] = _cost(spec, tokens_per_s)
    if "tasks" in spec.parts and (answered := answer_tasks(session, spec)):
        sections["lm_eval"] = answered
    return Sections(measured=sections, experts=experts)


def _of_windows(spec: EvaluationSpec, windows: Windows, found: WindowMeasurements) -> dict[str, Any]:
    """Loss and routing, as far as they were measured."""
    sections: dict[str, Any] = {}
    if found.nll is not None:
        sections["validation"] = validation(windows, found.nll, found.mtp_nll)
    if "routing" in spec.parts:
        starts = range(0, len(windows.lengths), spec.batch_size)
        sections["routing_stats"] = routing_stats(
            found.experts,
            windows.tokens[:, :-1][windows.real],
            num_experts=found.num_experts or 0,
            batch_tokens=[int(windows.lengths[start : start + spec.batch_size].sum()) for start in starts],
            groups=found.groups,
            ep=spec.ep,
        )
    return sections


def _cost(spec: EvaluationSpec, tokens_per_s: float | None) -> dict[str, Any]:
    """Of a forward pass over a batch, by the flags that the model was built from."""
    flags, shape = command_line_flags(), {"seq_len": spec.seq_len, "batch_size": spec.batch_size}
    return computational_cost(flags, **shape, tokens_per_s=tokens_per_s, model=spec.model)
