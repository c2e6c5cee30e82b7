"""Training runs side by side, made of a stored record."""

from dataclasses import replace
from math import isnan, nan

import pytest
from run_records import alone, measured_run
from stored_records import result_of, with_result

from harness.compare.comparison import Comparison, Contrast
from harness.compare.measured_run import MeasuredRun, RepeatedRun
from harness.compare.runs import DISTANCE, compare_runs
from harness.errors import ConfigError


def _contrast(found: Comparison, name: str) -> Contrast:
    metric = found.metric(name)
    assert metric is not None
    (contrast,) = metric.contrasts
    assert contrast is not None
    return contrast


def _compared(*runs: MeasuredRun, force: bool = False) -> Comparison:
    return compare_runs([alone(run) for run in runs], force=force)


def test_a_slower_run_is_slower_in_time_and_lower_in_rates() -> None:
    found = _compared(measured_run("a"), measured_run("b", step_s=1.041, seed=1))
    step = _contrast(found, "step_s").significance
    assert step.beyond and step.effect is not None and step.effect.interval is not None
    assert step.effect.interval[0] < 0.041 < step.effect.interval[1]
    for name in ("tokens_per_s_per_gpu", "tflops_per_gpu", "mfu"):
        rate = _contrast(found, name).significance
        assert rate.p == pytest.approx(step.p) and rate.effect is not None
        assert (1 + rate.effect.share) * (1 + step.effect.share) == pytest.approx(1)
    metric = found.metric("mfu")
    assert metric is not None and metric.better == 0


def test_the_same_run_is_no_different_from_itself() -> None:
    found = _compared(measured_run("a"), measured_run("b"))
    assert _contrast(found, "step_s").significance.beyond is False
    distance = found.metric(DISTANCE)
    assert distance is not None and distance.values == (None, 0.0)
    assert found.configuration == () and found.unlike == ()


def test_loss_curves_are_compared_over_the_steps_that_both_have_and_nan_is_missing() -> None:
    a, b = measured_run("a"), measured_run("b", count=50, loss=8.5)
    b = replace(b, samples=(replace(b.samples[0], loss=nan), replace(b.samples[1], loss=None), *b.samples[2:]))
    found = _compared(a, b)
    distance = found.metric(DISTANCE)
    assert distance is not None and distance.values[1] == pytest.approx(0.5)
    assert "b: the loss of 2 of its 50 steps is NaN or missing, and left out" in found.notices
    assert "loss curves of a and b: over the 48 steps that both have" in found.notices
    assert "speeds are of other steps: 21 to 200 of a, 6 to 50 of b" in found.notices


def test_a_figure_that_is_nan_is_missing_and_never_nought() -> None:
    b = measured_run("b")
    summary = result_of(b.record).summary
    assert summary is not None
    b = MeasuredRun(
        record=with_result(b.record, summary=replace(summary, loss_last=nan, mfu=nan, peak_memory_bytes=None)),
        samples=b.samples,
    )
    found = _compared(measured_run("a"), b)
    for name in ("loss_last", "mfu"):
        metric = found.metric(name)
        assert metric is not None and metric.values[1] is None and metric.contrasts == (None,)
    assert not any(value is not None and isnan(value) for metric in found.metrics for value in metric.values)


UNLIKE = {
    "model (DeepSeek-V3)": ({"MODEL": "DeepSeek-V3"}, {}, "model: DeepSeek-V3, not DeepSeek-V2-Lite"),
    "sequence length": ({}, {"--seq-length": "8192"}, "sequence length: 8192, not 4096"),
    "layers": ({}, {"--num-layers": "5"}, "number of layers: 5, not 4"),
    "routing": ({}, {"--moe-router-force-load-balancing": True}, "routing: forced balance, not real"),
    "proxy": ({"PROXY": "laptop"}, {}, "scaled down by: laptop, not none"),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_unlike_runs_are_refused_by_what_differs_and_forced_with_it(case: str) -> None:
    settings, flags, said = UNLIKE[case]
    a, b = measured_run("a"), measured_run("b", flags=dict(flags), **settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as refused:
        _compared(a, b)
    assert f"b is unlike a: {said}" in refused.value.problems
    assert "--force" in refused.value.problems[-1]
    assert f"b is unlike a: {said}" in _compared(a, b, force=True).unlike


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("flops_per_step", 6e15, "FLOPs convention: FLOPs a token"),
        ("window_rule", "all steps", "step window"),
    ],
)
def test_other_conventions_are_unlike(field: str, value: object, words: str) -> None:
    a, b = measured_run("a"), measured_run("b")
    summary = result_of(b.record).summary
    assert summary is not None
    changed = replace(summary, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=words):
        _compared(a, replace(b, record=with_result(b.record, summary=changed)))


@pytest.mark.parametrize(("name", "value"), [("precision", "fp8"), ("mtp_layers", 2)])
def test_what_was_in_effect_counts(name: str, value: object) -> None:
    a, b = measured_run("a"), measured_run("b")
    in_effect = result_of(b.record).in_effect
    assert in_effect is not None
    changed = replace(in_effect, setup=replace(in_effect.setup, **{name: value}))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=str(value)):
        _compared(a, replace(b, record=with_result(b.record, in_effect=changed)))


def test_configurations_differ_with_their_origins() -> None:
    found = _compared(measured_run("a", EP=2), measured_run("b", EP=4, WANDB_API_KEY="x", ACCOUNT="mine"))
    differing = {it.name: it for it in found.configuration}
    assert differing["EP"].values == ("2", "4") and differing["ACCOUNT"].values == (None, "mine")
    assert differing["EP"].origins[0] is not None
    assert "WANDB_API_KEY" not in differing


def test_a_run_that_goes_on_and_one_that_failed_say_so() -> None:
    found = _compared(measured_run("a", status="running", count=60), measured_run("b", status="failed", count=60))
    assert "a is running: what its 60 steps so far tell" in found.notices
    assert "b failed, after 60 steps" in found.notices


def test_a_run_without_steps_has_no_figures() -> None:
    b = measured_run("b", status="submitted", flags={"--mtp-num-layers": "1"})
    found = _compared(measured_run("a"), MeasuredRun(record=replace(b.record, result=None)))
    metric = found.metric("step_s")
    assert metric is not None and metric.values[1] is None


def test_few_steps_are_not_tested() -> None:
    found = _compared(measured_run("a", count=12), measured_run("b", count=12))
    assert _contrast(found, "step_s").significance.beyond is None


def _repeats(name: str, medians: list[float]) -> RepeatedRun:
    runs = (measured_run(f"{name}{at}", step_s=step_s, seed=at) for at, step_s in enumerate(medians))
    return RepeatedRun(name=name, runs=tuple(runs))


def test_repeats_are_compared_and_not_their_steps() -> None:
    noisy = compare_runs([_repeats("a", [1.0, 1.1, 0.9]), _repeats("b", [1.05, 0.95, 1.15])])
    step = _contrast(noisy, "step_s").significance
    assert step.beyond is False and step.method == "t over 3 and 3 repeats"
    apart = compare_runs([_repeats("a", [1.0, 1.001, 0.999]), _repeats("b", [1.1, 1.101, 1.099])])
    step = _contrast(apart, "step_s").significance
    assert step.beyond and step.effect is not None and step.effect.share == pytest.approx(0.1, abs=0.005)


def test_a_single_run_is_held_against_repeats() -> None:
    found = compare_runs([_repeats("a", [1.0, 1.002, 0.998, 1.001]), _repeats("b", [1.2])])
    step = _contrast(found, "step_s").significance
    assert step.beyond and step.method == "t over 4 and 1 repeats"


def test_one_run_is_no_comparison() -> None:
    with pytest.raises(ConfigError, match="two runs or more, not 1"):
        _compared(measured_run())
