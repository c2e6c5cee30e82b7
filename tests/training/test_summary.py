"""The summary's figures, by hand."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.training.effective import InEffect, Setup
from harness.training.log.parser import RunLog
from harness.training.log.samples import MemoryReport, PeakMemory, StepSample, Validation
from harness.training.summary import nan_steps, peak_memory, spread, summarise, window


def sample(
    iteration: int, step_s: float = 1.0, *, launch: int = 0, batch: int | None = 8, **more: object
) -> StepSample:
    fields = {"iteration": iteration, "train_iters": 50, "step_s": step_s, "launch": launch, "global_batch_size": batch}
    return StepSample(**(fields | more))  # type: ignore[arg-type]


def steps(found: tuple[StepSample, ...]) -> list[int]:
    return [it.iteration for it in found]


@pytest.mark.parametrize(("lines", "dropped"), [(1, 1), (2, 2), (3, 2), (20, 2), (21, 3), (50, 5), (500, 50)])
def test_warm_up_is_a_tenth_and_at_least_two_lines(lines: int, dropped: int) -> None:
    assert steps(window([sample(step) for step in range(1, lines + 1)])) == list(range(dropped + 1, lines + 1))


def test_every_launch_warms_up_again() -> None:
    samples = [sample(step) for step in (1, 2, 3, 4)] + [sample(step, launch=1) for step in (5, 6, 7)]
    assert steps(window(samples)) == [3, 4, 7]


def test_steps_of_another_batch_size_do_not_count() -> None:
    assert steps(window([sample(step, batch=4 if step < 6 else 8) for step in range(1, 9)])) == [6, 7, 8]


def test_figures_of_a_small_run() -> None:
    times = (30.0, 9.0, 2.0, 4.0, 3.0)
    log = RunLog(
        samples=tuple(sample(at, t, tflops_per_gpu=100 / t, loss=10.0 - at) for at, t in enumerate(times, 1)),
        validations=tuple(
            Validation(iteration=at, split=split, loss=loss)
            for at, split, loss in ((2, "validation", 6.5), (5, "validation", 4.5), (5, "test", 7.5))
        ),
        peak_memory=PeakMemory(per_rank_bytes=(5, 7), kind="rss"),
        restarts=1,
    )
    summary = summarise(log, world_size=4, seq_len=1000, flops_per_step=2.4e15, peak_flops_per_gpu=1e15)
    assert (summary.n_used, summary.n_dropped) == (3, 2)
    assert (summary.first_iteration, summary.last_iteration) == (3, 5)
    assert summary.median_s == 3.0
    assert summary.p05_s == pytest.approx(2.1)
    assert summary.p95_s == pytest.approx(3.9)
    assert summary.tokens_per_s == pytest.approx(8 * 1000 / 3)
    assert summary.tokens_per_s_per_gpu == pytest.approx(8 * 1000 / 3 / 4)
    assert summary.tflops_per_gpu_printed == pytest.approx(100 / 3)
    assert summary.tflops_per_gpu == pytest.approx(2.4e15 / 3 / 4 / 1e12)
    assert summary.mfu == pytest.approx(0.2)
    assert (summary.peak_memory_bytes, summary.peak_memory_kind) == (7, "rss")
    assert (summary.loss_first, summary.loss_last, summary.validation_loss) == (9.0, 5.0, 4.5)
    assert summary.restarts == 1


def test_what_cannot_be_known_is_none_and_never_zero() -> None:
    empty = summarise(RunLog())
    counts = {"n_used", "n_dropped", "skipped", "nan", "restarts", "window_rule"}
    assert {name for name, value in vars(empty).items() if value is not None} == counts
    bare = summarise(RunLog(samples=tuple(sample(step, batch=None) for step in range(1, 6))), world_size=2, seq_len=8)
    assert (bare.median_s, bare.tokens_per_s, bare.tflops_per_gpu, bare.mfu) == (1.0, None, None, None)


def test_the_log_states_the_true_world_size_and_fills_in_the_flops() -> None:
    stated = InEffect(setup=Setup(world_size=2), flops_per_step=6e12)
    log = RunLog(samples=tuple(sample(step) for step in range(1, 6)), in_effect=stated)
    assert summarise(log, world_size=8).tflops_per_gpu == pytest.approx(3.0)
    assert summarise(log, world_size=8, flops_per_step=2e12).tflops_per_gpu == pytest.approx(1.0)


def test_memory_falls_back_on_megatrons_own_lines() -> None:
    def report(rank: int, peak: int) -> MemoryReport:
        return MemoryReport(
            rank=rank, iteration=2, allocated_bytes=1, max_allocated_bytes=peak, reserved_bytes=1, max_reserved_bytes=99
        )

    assert peak_memory(RunLog(memory=(report(0, 10), report(4, 30)))) == (30, "cuda_allocated")
    assert peak_memory(RunLog(memory=(report(0, 0),))) == (None, None)  # what CPU ranks print


def test_skipped_and_nan_steps_of_all_lines_count() -> None:
    samples = (
        sample(1, skipped=1),
        sample(2, loss=math.nan),
        sample(3, nan=2, grad_norm=math.inf),
        sample(4, loss=1.0),
    )
    summary = summarise(RunLog(samples=samples))
    assert (summary.skipped, summary.nan) == (1, 3)
    assert nan_steps(sample(1, mtp_losses=(None, math.inf))) == 1


def test_the_last_loss_is_that_of_the_last_step_taken_even_if_it_was_nan() -> None:
    good, skipped, diverged = sample(1, loss=5.0), sample(2, skipped=1), sample(3)  # Megatron prints no NaN loss
    assert summarise(RunLog(samples=(good, skipped))).loss_last == 5.0
    assert summarise(RunLog(samples=(good, diverged))).loss_last is None


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=60))
def test_percentiles_enclose_the_median(values: list[float]) -> None:
    low, high = spread(values)
    assert low is not None and high is not None
    middle = statistics.median(values)
    tiny = 1e-9 * middle
    assert min(values) - tiny <= low <= middle + tiny and middle - tiny <= high <= max(values) + tiny
