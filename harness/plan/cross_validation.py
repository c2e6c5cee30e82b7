"""Constants fitted to the published rows, and how they do on models, and on jobs, that the fit has not seen."""

import random
from collections.abc import Mapping, Sequence

from harness.cost.constants import Constants, priors
from harness.plan.fit import Measured, fit
from harness.plan.published.predictable import PredictableRow, predicted_tflops

HELD_OUT = 0.3
"""Share of the distinct jobs that a random split holds out."""


def fitted(cases: Sequence[PredictableRow]) -> Constants:
    """The constants that explain these rows best, from their priors."""
    return fit([_measured(case) for case in cases], priors())


def left_out_errors(cases: Sequence[PredictableRow]) -> Mapping[str, list[float]]:
    """For each model: relative errors of its TFLOP/s/GPU under constants fitted to all other models."""
    models = sorted({case.row.model for case in cases})
    return {model: _errors([case for case in cases if case.row.model == model], cases) for model in models}


def split_errors(cases: Sequence[PredictableRow], rounds: int = 10) -> list[float]:
    """Relative errors of jobs held out at random, in `rounds` draws, under constants fitted to the other jobs.

    Rows of one job (model, GPU, mapping, precision, dispatcher, graphs, recomputation) are held out together.
    """
    draw = random.Random(0)
    jobs = sorted({_kind(case) for case in cases})
    errors = []
    for _ in range(rounds):
        held = set(draw.sample(jobs, int(HELD_OUT * len(jobs))))
        errors += _errors([case for case in cases if _kind(case) in held], cases)
    return errors


def _kind(case: PredictableRow) -> str:
    job, graphs, again = case.job, case.job.graphs, case.job.recompute
    held = (graphs.full, sorted(graphs.modules), again.granularity, sorted(again.modules))
    return repr((job.arch.name, case.gpu.name, job.parallel, job.precision.value, job.dispatcher, *held))


def _errors(own: Sequence[PredictableRow], cases: Sequence[PredictableRow]) -> list[float]:
    held = {case.row.line for case in own}
    without = fitted([case for case in cases if case.row.line not in held])
    return [predicted_tflops(case.job, case.gpu, without) / _tflops(case) - 1 for case in own]


def _tflops(case: PredictableRow) -> float:
    if case.measured_tflops is None:
        raise ValueError(f"row {case.row.line} has no measured speed")
    return case.measured_tflops


def _measured(case: PredictableRow) -> Measured:
    if case.step_s is None:
        raise ValueError(f"row {case.row.line} has no measured step")
    return Measured(job=case.job, gpu=case.gpu, step_s=case.step_s)
