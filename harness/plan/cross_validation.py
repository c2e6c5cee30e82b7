"""Constants fitted to the published rows, and how they do on a model that the fit has not seen."""

from collections.abc import Mapping, Sequence

from harness.cost.constants import Constants, priors
from harness.plan.fit import Measured, fit
from harness.plan.score import Case, predicted_tflops


def fitted(cases: Sequence[Case]) -> Constants:
    """The constants that explain these rows best, from their priors."""
    return fit([_measured(case) for case in cases], priors())


def left_out_errors(cases: Sequence[Case]) -> Mapping[str, list[float]]:
    """For each model: relative errors of its TFLOP/s/GPU under constants fitted to all other models."""
    models = sorted({case.row.model for case in cases})
    return {model: _errors(model, cases) for model in models}


def _errors(model: str, cases: Sequence[Case]) -> list[float]:
    others = [case for case in cases if case.row.model != model]
    own = [case for case in cases if case.row.model == model]
    without = fitted(others)
    return [predicted_tflops(case.job, case.gpu, without) / _tflops(case) - 1 for case in own]


def _tflops(case: Case) -> float:
    if case.measured_tflops is None:
        raise ValueError(f"row {case.row.line} has no measured speed")
    return case.measured_tflops


def _measured(case: Case) -> Measured:
    if case.step_s is None:
        raise ValueError(f"row {case.row.line} has no measured step")
    return Measured(job=case.job, gpu=case.gpu, step_s=case.step_s)
