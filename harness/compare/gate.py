"""Whether a run is as good as its baseline: passed, regressed or inconclusive, figure by figure, with the reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.compare.baseline import Baseline
from harness.compare.baseline_run import BaselineRun, measure
from harness.compare.gate_checks import GateCheck, GateOutcome, check_end, check_loss, check_memory, check_step_time
from harness.compare.gate_conditions import differing, loss_conditions, step_conditions
from harness.compare.tolerance import GatedFigure
from harness.errors import ConfigError
from harness.runs.store import StoredRun

EXIT_CODES: Mapping[GateOutcome, int] = {"passed": 0, "regressed": 1, "inconclusive": 3}


@dataclass(frozen=True, kw_only=True)
class GateVerdict:
    """The verdict on a run: regressed if a figure is, else inconclusive if one is, else passed."""

    run_id: str
    baseline_runs: tuple[str, ...]
    checks: tuple[GateCheck, ...]

    @property
    def outcome(self) -> GateOutcome:
        """The worst of its figures."""
        found = {check.outcome for check in self.checks}
        return "regressed" if "regressed" in found else "inconclusive" if "inconclusive" in found else "passed"


def gate_run(run: StoredRun, baseline: Baseline, tolerances: Mapping[GatedFigure, float | None]) -> GateVerdict:
    """Judge a training run that has ended; figures without a tolerance are left out.

    ConfigError with every difference that makes its step times and the baseline's no comparison.
    """
    record = run.record
    measured = measure(run)
    differences = differing(baseline.step_conditions, step_conditions(record))
    if differences:
        raise ConfigError(
            [f"{record.run_id} is unlike the baseline: {difference}" for difference in differences]
            + ["gate it against a baseline of runs like it: moe-harness runs baseline RUN… -o FILE"]
        )
    return judge(measured, differing(baseline.loss_conditions, loss_conditions(record)), baseline, tolerances)


def judge(
    run: BaselineRun,
    loss_differences: Sequence[str],
    baseline: Baseline,
    tolerances: Mapping[GatedFigure, float | None],
) -> GateVerdict:
    """Judge the figures of a run like the baseline; `loss_differences` are why its loss curve is another's."""
    checks = [check_end(run)]
    if (tolerance := tolerances["step_s"]) is not None:
        checks.append(check_step_time(run, baseline.runs, tolerance))
    if (tolerance := tolerances["memory"]) is not None:
        checks.append(check_memory(run, baseline.runs, tolerance))
    if (tolerance := tolerances["loss"]) is not None:
        checks.append(check_loss(run, baseline.runs, loss_differences, tolerance))
    return GateVerdict(
        run_id=run.run_id,
        baseline_runs=tuple(it.run_id for it in baseline.runs),
        checks=tuple(check for check in checks if check is not None),
    )
