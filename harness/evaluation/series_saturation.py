"""Router saturation over a series: how many of a token's experts are those that it has at the last checkpoint."""

from pathlib import Path
from typing import Any

from harness.evaluation.recorded_experts import read_experts
from harness.evaluation.routing.saturation import saturation
from harness.evaluation.spec import EvaluationSpec


def series_saturation(spec: EvaluationSpec) -> dict[str, Any] | None:
    """`{"of_step": last, "steps": [{"step": …, "layers": {layer: saturation}}]}` of what was recorded.

    None of a single checkpoint, and where the last one's experts were not recorded.
    """
    folder = Path(spec.output_dir)
    *earlier, last = spec.checkpoints
    final = read_experts(folder, spec.identity(last)) if earlier else None
    if not final:
        return None
    recorded = ((checkpoint, read_experts(folder, spec.identity(checkpoint))) for checkpoint in earlier)
    steps = [{"step": one.step, "layers": saturation(experts, final)} for one, experts in recorded if experts]
    return {"of_step": last.step, "steps": steps}
