"""The tables a user sees, to the letter; a figure that is missing is a dash."""

from dataclasses import replace
from pathlib import Path

from stored_records import load_version, result_of, with_result

from harness.report.text.plain_table import plain_table
from harness.report.text.run_list import show_rows
from harness.report.text.run_table import show_summary
from harness.runs.columns import row_of
from harness.runs.store import StoredRun
from harness.training.effective import Mixture, Setup
from harness.training.log.parser import RunLog
from harness.training.summary import summarise

RECORD = load_version(1)
RESULT = result_of(RECORD)
assert RESULT.summary is not None and RESULT.in_effect is not None
SUMMARY, IN_EFFECT = RESULT.summary, RESULT.in_effect

WHOLE = """\
run                               20250304-102030-DeepSeek-V2-Lite-1a2b
status                            completed
ran on                            8 ranks, NVIDIA H200
step time                         2.04 s [2.03 s to 2.06 s] (median [p05 to p95])
tokens/s                          128,188
tokens/s/GPU                      16,023
TFLOP/s/GPU, printed by Megatron  317.9
TFLOP/s/GPU, computed             317.8
MFU                               32.1% of 989 TFLOP/s dense
peak memory                       42.54 GiB (allocated on the GPU, fullest rank)
loss                              10.5000 → 8.0000
log lines                         4 used (iterations 3 to 6), 2 dropped (warm-up, batch ramp-up)
skipped / NaN steps               1 / 0
validation loss                   8.2500
not as asked                      dispatcher: asked flex, in effect alltoall"""

EMPTY = """\
run                               20250304-102030-DeepSeek-V2-Lite-1a2b
status                            failed
ran on                            \u2013 ranks, \u2013
step time                         \u2013
tokens/s                          \u2013
tokens/s/GPU                      \u2013
TFLOP/s/GPU, printed by Megatron  \u2013
TFLOP/s/GPU, computed             \u2013
MFU                               \u2013 (no step after warm-up)
peak memory                       \u2013
loss                              \u2013 → \u2013
log lines                         0 used, 0 dropped (warm-up, batch ramp-up)
skipped / NaN steps               0 / 0"""


def test_a_whole_run() -> None:
    assert show_summary(with_result(RECORD, differences=RESULT.differences[3:4])) == WHOLE


def test_a_run_without_a_step_invents_nothing() -> None:
    nothing = with_result(RECORD, summary=summarise(RunLog()), in_effect=None, asked=Setup(), differences=())
    failed = replace(nothing, status="failed")
    assert show_summary(failed) == EMPTY
    assert "results  \u2013" in show_summary(with_result(failed, summary=None))
    assert "results  \u2013" in show_summary(replace(failed, result=None))


def test_why_there_is_no_mfu() -> None:
    no_peak = with_result(RECORD, summary=replace(SUMMARY, mfu=None, peak_flops_per_gpu=None))
    no_flops = with_result(RECORD, summary=replace(SUMMARY, mfu=None, flops_per_step=None))
    assert "MFU                               \u2013 (no peak is known for this device and precision)" in show_summary(
        no_peak
    )
    assert "\u2013 (the FLOPs of a step are not known)" in show_summary(no_flops)


def test_a_laptops_tflops_are_not_rounded_to_nothing_and_restarts_are_told() -> None:
    small = with_result(RECORD, summary=replace(SUMMARY, tflops_per_gpu=0.00123456, restarts=2))
    assert "TFLOP/s/GPU, computed             0.00123" in show_summary(small)
    assert "restarts                          2" in show_summary(small)


def test_nodes_that_differ_are_told() -> None:
    driver = Mixture(name="driver", hosts={"550.54": ("node1", "node2"), "570.86": ("node3",)})
    mixed = with_result(RECORD, in_effect=replace(IN_EFFECT, mixed=(driver,)))
    assert "nodes differ                      driver: 550.54 on node1, node2; 570.86 on node3" in show_summary(mixed)


def test_runs_are_listed_a_row_each() -> None:
    running = replace(with_result(RECORD, summary=None, in_effect=None), run_id="r2", status="running")
    rows = [row_of(StoredRun(folder=Path("r"), record=record)) for record in (RECORD, running)]
    header, _, first, second = show_rows(rows).splitlines()
    assert header.split() == ["run", "status", "model", "GPUs", "step", "time", "tokens/s/GPU", "TFLOP/s/GPU", "loss"]
    assert first.split()[1:] == ["completed", "DeepSeek-V2-Lite", "8", "2.04", "s", "16,023", "317.8", "8.0000"]
    assert second.split() == ["r2", "running", "DeepSeek-V2-Lite", "8", *["\u2013"] * 4]


def test_cells_stay_the_text_they_are() -> None:
    assert plain_table([("a", "0012"), ("b", "1e5")]) == "a  0012\nb  1e5"


PREDICTED = {
    "step_time_s": 2.0,
    "tokens_per_s_per_gpu": 16_400.0,
    "tflops_per_gpu": 325.4,
    "peak_memory_bytes": 40 * 2.0**30,
}


def test_what_was_predicted_stands_beside_what_was_measured() -> None:
    text = show_summary(with_result(RECORD, predicted=PREDICTED))
    assert "(median [p05 to p95]); predicted 2.00 s (-2.2%)" in text
    assert "16,023; predicted 16,400 tokens/s/GPU (+2.3%)" in text
    assert "317.8; predicted 325.4 TFLOP/s/GPU (+2.4%)" in text
    assert "fullest rank); predicted 40.00 GiB (-6.0%)" in text


def test_a_run_without_results_shows_what_was_predicted() -> None:
    waiting = replace(with_result(RECORD, summary=None, predicted=PREDICTED), status="submitted")
    assert "predicted  2.00 s, 16,400 tokens/s/GPU, 325.4 TFLOP/s/GPU, 40.00 GiB" in show_summary(waiting)
    assert "predicted" not in show_summary(with_result(waiting, predicted=None))
