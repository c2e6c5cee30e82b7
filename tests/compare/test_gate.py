"""The gate: passed, regressed, inconclusive, and how often it is wrong."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trained_runs import loss_curve, step_times, trained_run

from harness.compare.baseline import Baseline, make_baseline
from harness.compare.baseline_run import BaselineRun
from harness.compare.gate import GateVerdict, gate_run, judge
from harness.compare.gate_checks import GateCheck
from harness.compare.step_blocks import StepDifference, compare_steps
from harness.compare.tolerance import DEFAULT_TOLERANCES, parse_tolerances
from harness.errors import ConfigError
from harness.runs.store import StoredRun

SECONDS_ALONE = parse_tolerances("memory=off,loss=off")


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    return make_baseline([trained_run(tmp_path / "base", "base", step_times(1))])


def check(verdict: GateVerdict, figure: str) -> GateCheck:
    return next(it for it in verdict.checks if it.figure == figure)


def verdict_on(run: StoredRun, baseline: Baseline, tolerances: str | None = None) -> GateVerdict:
    return gate_run(run, baseline, parse_tolerances(tolerances))


def measured(times: np.ndarray, name: str = "run") -> BaselineRun:
    return BaselineRun(run_id=name, status="completed", step_s=tuple(map(float, times)), losses={})


def of_times(*runs: np.ndarray) -> Baseline:
    measures = tuple(measured(times, f"base-{at}") for at, times in enumerate(runs))
    return Baseline(created="2026-01-01T00:00:00Z", step_conditions={}, loss_conditions={}, runs=measures)


def test_a_repeat_passes(tmp_path: Path, baseline: Baseline) -> None:
    verdict = verdict_on(trained_run(tmp_path, "repeat", step_times(2)), baseline)
    assert [(it.figure, it.outcome) for it in verdict.checks] == [
        ("step_s", "passed"),
        ("memory", "passed"),
        ("loss", "passed"),
    ]
    assert verdict.outcome == "passed"
    assert [it.suspicious for it in verdict.checks] == [None, None, None]


def test_a_slower_run_has_regressed_and_its_share_is_told(tmp_path: Path, baseline: Baseline) -> None:
    verdict = verdict_on(trained_run(tmp_path, "slow", step_times(2, mean_s=1.12)), baseline)
    found = check(verdict, "step_s")
    assert (verdict.outcome, found.outcome) == ("regressed", "regressed")
    assert found.interval is not None and found.interval[0] < 0.12 < found.interval[1]
    assert "+1" in found.reason and "baseline" in found.reason


def test_a_run_slower_within_the_tolerance_passes(tmp_path: Path, baseline: Baseline) -> None:
    run = trained_run(tmp_path, "slow", step_times(2, mean_s=1.12))
    assert verdict_on(run, baseline, "step_s=20%").outcome == "passed"


def test_a_run_as_slow_as_the_tolerance_is_inconclusive(tmp_path: Path, baseline: Baseline) -> None:
    verdict = verdict_on(trained_run(tmp_path, "edge", step_times(2, mean_s=1.05)), baseline)
    assert check(verdict, "step_s").outcome == "inconclusive"
    assert "both sides of 5 %" in check(verdict, "step_s").reason


def test_three_steps_are_inconclusive(tmp_path: Path, baseline: Baseline) -> None:
    verdict = verdict_on(trained_run(tmp_path, "short", step_times(2, 5)), baseline)  # two of five are warm-up
    assert verdict.outcome == "inconclusive"
    assert "180 and 3 steps" in check(verdict, "step_s").reason
    assert "only 5 steps that all curves have" in check(verdict, "loss").reason


def test_a_run_of_warm_up_alone_is_inconclusive(tmp_path: Path, baseline: Baseline) -> None:
    verdict = verdict_on(trained_run(tmp_path, "short", step_times(2, 2)), baseline)
    assert check(verdict, "step_s").outcome == "inconclusive"


def test_a_much_faster_run_passes_and_is_suspicious(tmp_path: Path, baseline: Baseline) -> None:
    verdict = verdict_on(trained_run(tmp_path, "fast", step_times(2, mean_s=0.6)), baseline)
    assert verdict.outcome == "passed"
    assert "faster than any run of the baseline" in str(check(verdict, "step_s").suspicious)


def test_more_memory_has_regressed_and_less_is_suspicious(tmp_path: Path, baseline: Baseline) -> None:
    more = verdict_on(trained_run(tmp_path, "more", step_times(2), memory_bytes=45 * 1024**3), baseline)
    less = verdict_on(trained_run(tmp_path, "less", step_times(2), memory_bytes=30 * 1024**3), baseline)
    none = verdict_on(trained_run(tmp_path, "none", step_times(2), memory_bytes=None), baseline)
    assert check(more, "memory").outcome == "regressed"
    assert check(less, "memory").outcome == "passed"
    assert "25.0% less memory" in str(check(less, "memory").suspicious)
    assert check(none, "memory").outcome == "inconclusive"


def test_a_loss_above_the_band_has_regressed_and_the_first_step_is_told(tmp_path: Path, baseline: Baseline) -> None:
    curve = [loss if step <= 150 else (loss or 0) * 1.03 for step, loss in enumerate(loss_curve(), start=1)]
    verdict = verdict_on(trained_run(tmp_path, "worse", step_times(2), curve), baseline)
    assert verdict.outcome == "regressed"
    assert "at 50 of 200 steps, first at step 151" in check(verdict, "loss").reason


@pytest.mark.parametrize(("spikes", "outcome"), [(10, "passed"), (11, "regressed")])
def test_single_spikes_of_the_loss_pass_up_to_a_twentieth_of_the_steps(
    tmp_path: Path, baseline: Baseline, spikes: int, outcome: str
) -> None:
    curve = loss_curve()
    curve[5 : 5 + 10 * spikes : 10] = [20.0] * spikes
    assert verdict_on(trained_run(tmp_path, "spiky", step_times(2), curve), baseline).outcome == outcome


def test_a_loss_below_the_band_is_suspicious(tmp_path: Path, baseline: Baseline) -> None:
    verdict = verdict_on(trained_run(tmp_path, "better", step_times(2), loss_curve(factor=0.9)), baseline)
    assert verdict.outcome == "passed"
    assert "has left the band below" in str(check(verdict, "loss").suspicious)


def test_a_loss_that_scatters_about_the_baselines_passes(tmp_path: Path, baseline: Baseline) -> None:
    random = np.random.default_rng(7)
    curve = [(loss or 0) * factor for loss, factor in zip(loss_curve(), 1 + random.normal(0, 0.03, 200), strict=True)]
    found = check(verdict_on(trained_run(tmp_path, "scatter", step_times(2), curve), baseline), "loss")
    assert (found.outcome, found.suspicious) == ("passed", None)
    assert "above the band at" in found.reason and "below the band at" in found.reason


def drifting(seed: int, *, mean_s: float = 1.0) -> np.ndarray:
    """Steps on a machine that other work slows down, for two hundred steps at a time, to half its speed."""
    load = 0.5 + 0.5 * np.sin(np.arange(400) / 60 + seed)
    return mean_s * (1 + load) * step_times(seed, 400, spread=0.01)


def test_steps_that_hang_together_too_long_tell_only_what_is_plain() -> None:
    base = of_times(drifting(1))
    found = compare_steps(drifting(1), drifting(2))
    like, slow = (judge(measured(drifting(2, mean_s=mean_s)), (), base, SECONDS_ALONE).checks[0] for mean_s in (1, 3))
    assert found.difference is None, "the test is of what blocks cannot tell"
    assert (like.outcome, slow.outcome) == ("inconclusive", "regressed")
    assert "hang together" in like.reason
    assert "19 of 20 steps are slower than 3 of 4 of the baseline's, by" in slow.reason


def test_an_interval_beyond_the_tolerance_needs_a_small_p_too() -> None:
    base, run = step_times(1, 9), step_times(2, 9)
    found = StepDifference(steps=(9, 9), block_steps=1, blocks=(9, 9), difference=0.1, interval=(0.06, 0.2), p=0.01)
    checks = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.compare.gate_checks.compare_steps", lambda *_: replace(found, beyond=False))
        checks.append(judge(measured(run), (), of_times(base), SECONDS_ALONE).checks[0])
        patch.setattr("harness.compare.gate_checks.compare_steps", lambda *_: replace(found, beyond=True))
        checks.append(judge(measured(run), (), of_times(base), SECONDS_ALONE).checks[0])
    assert [it.outcome for it in checks] == ["inconclusive", "regressed"]
    assert "noise may do that: p = 0.01, not below 0.002" in checks[0].reason


def test_nan_losses_have_regressed(tmp_path: Path, baseline: Baseline) -> None:
    curve = loss_curve()
    curve[9] = curve[10] = None
    verdict = verdict_on(trained_run(tmp_path, "nan", step_times(2), curve), baseline)
    assert check(verdict, "loss").outcome == "regressed"
    assert check(verdict, "loss").reason == "NaN in 2 steps, the first is step 10"


def test_losses_of_another_learning_rate_say_nothing(tmp_path: Path, baseline: Baseline) -> None:
    run = trained_run(tmp_path, "lr", step_times(2), lr="2e-3", data_path="/elsewhere/alice")
    found = check(verdict_on(run, baseline), "loss")
    assert (found.outcome, found.reason) == (
        "inconclusive",
        "curves of unlike runs: --lr: 2e-3, not 1e-3; --tolerance loss=off leaves them out",
    )
    assert verdict_on(run, baseline, "loss=off").outcome == "passed"


def test_a_run_unlike_the_baseline_is_refused_by_every_difference(tmp_path: Path, baseline: Baseline) -> None:
    run = trained_run(
        tmp_path, "other", step_times(2), gpus=16, model="Mixtral-8x7B", num_experts="16", global_batch_size="128"
    )
    with pytest.raises(ConfigError) as refused:
        verdict_on(run, baseline)
    assert refused.value.problems == (
        "other is unlike the baseline: model: Mixtral-8x7B, not DeepSeek-V2-Lite",
        "other is unlike the baseline: --num-experts: 16, not 8",
        "other is unlike the baseline: global batch size: 128, not 64",
        "other is unlike the baseline: GPUs: 16, not 8",
        "gate it against a baseline of runs like it: moe-harness runs baseline RUN… -o FILE",
    )


def test_a_failed_run_has_regressed_and_one_still_going_is_refused(tmp_path: Path, baseline: Baseline) -> None:
    failed = trained_run(tmp_path, "failed", step_times(2, 60), status="failed")
    verdict = verdict_on(failed, baseline)
    assert (verdict.outcome, check(verdict, "end").outcome) == ("regressed", "regressed")
    going = trained_run(tmp_path, "going", step_times(2, 60))
    going = replace(going, record=replace(going.record, status="running"))
    with pytest.raises(ConfigError, match="still going"):
        verdict_on(going, baseline)


def test_an_envelope_takes_what_launches_differ_by() -> None:
    alone, envelope = of_times(step_times(1)), of_times(step_times(1), step_times(3, mean_s=1.1))
    run = measured(step_times(2, mean_s=1.1))
    assert judge(run, (), alone, SECONDS_ALONE).outcome == "regressed"
    assert judge(run, (), envelope, SECONDS_ALONE).outcome == "passed"


def test_a_loss_between_those_of_the_envelope_is_in_the_band(tmp_path: Path) -> None:
    runs = [
        trained_run(tmp_path, "low", step_times(1), loss_curve(factor=0.95)),
        trained_run(tmp_path, "high", step_times(3), loss_curve(factor=1.05)),
    ]
    run = trained_run(tmp_path, "between", step_times(2), loss_curve(factor=1.045))
    assert check(verdict_on(run, make_baseline(runs)), "loss").outcome == "passed"


@pytest.mark.parametrize(("steps", "decided"), [(100, 20), (400, 38)])
def test_like_against_like_never_regresses_and_what_is_slower_never_passes(steps: int, decided: int) -> None:
    """Forty pairs of runs of one job, whose steps hang together; more steps decide more of them."""
    like, slower = Counter[str](), Counter[str]()
    for pair in range(40):
        base = of_times(step_times(1000 + pair, steps))
        like[judge(measured(step_times(2000 + pair, steps)), (), base, SECONDS_ALONE).outcome] += 1
        slow = measured(step_times(3000 + pair, steps, mean_s=1.15))
        slower[judge(slow, (), base, SECONDS_ALONE).outcome] += 1
    assert (like["regressed"], slower["passed"]) == (0, 0)
    assert min(like["passed"], slower["regressed"]) >= decided


def test_at_no_tolerance_false_alarms_stay_rare() -> None:
    """With a tolerance of 0 % what is left is the test of the blocks alone."""
    strict = DEFAULT_TOLERANCES | {"step_s": 0.0, "memory": None, "loss": None}
    outcomes = Counter(
        judge(measured(step_times(5000 + pair, 100)), (), of_times(step_times(6000 + pair, 100)), strict).outcome
        for pair in range(200)
    )
    assert outcomes["regressed"] <= 3
