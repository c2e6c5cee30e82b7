"""The tables a user sees, to the letter; a figure that is missing is a dash."""

from dataclasses import replace
from pathlib import Path

from harness.report.text.plain_table import plain_table
from harness.report.text.table import show_runs, show_summary
from harness.runs.record_file import load
from harness.training.effective import Mixture, Setup
from harness.training.log.parser import RunLog
from harness.training.summary import summarise

RECORD = load(Path(__file__).parents[1] / "fixtures" / "records" / "version-1.json")

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
    assert show_summary(replace(RECORD, differences=RECORD.differences[3:4])) == WHOLE


def test_a_run_without_a_step_invents_nothing() -> None:
    failed = replace(
        RECORD, status="failed", summary=summarise(RunLog()), in_effect=None, asked=Setup(), differences=()
    )
    assert show_summary(failed) == EMPTY
    assert "results  \u2013" in show_summary(replace(failed, summary=None))


def test_why_there_is_no_mfu() -> None:
    assert RECORD.summary is not None
    no_peak = replace(RECORD, summary=replace(RECORD.summary, mfu=None, peak_flops_per_gpu=None))
    no_flops = replace(RECORD, summary=replace(RECORD.summary, mfu=None, flops_per_step=None))
    assert "MFU                               \u2013 (no peak is known for this device and precision)" in show_summary(
        no_peak
    )
    assert "\u2013 (the FLOPs of a step are not known)" in show_summary(no_flops)


def test_a_laptops_tflops_are_not_rounded_to_nothing_and_restarts_are_told() -> None:
    assert RECORD.summary is not None
    small = replace(RECORD, summary=replace(RECORD.summary, tflops_per_gpu=0.00123456, restarts=2))
    assert "TFLOP/s/GPU, computed             0.00123" in show_summary(small)
    assert "restarts                          2" in show_summary(small)


def test_nodes_that_differ_are_told() -> None:
    assert RECORD.in_effect is not None
    driver = Mixture(name="driver", hosts={"550.54": ("node1", "node2"), "570.86": ("node3",)})
    mixed = replace(RECORD, in_effect=replace(RECORD.in_effect, mixed=(driver,)))
    assert "nodes differ                      driver: 550.54 on node1, node2; 570.86 on node3" in show_summary(mixed)


def test_runs_are_listed_a_row_each() -> None:
    running = replace(RECORD, run_id="r2", status="running", summary=None, in_effect=None)
    header, _, first, second = show_runs([RECORD, running]).splitlines()
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
    text = show_summary(replace(RECORD, predicted=PREDICTED))
    assert "(median [p05 to p95]); predicted 2.00 s (-2.2%)" in text
    assert "16,023; predicted 16,400 tokens/s/GPU (+2.3%)" in text
    assert "317.8; predicted 325.4 TFLOP/s/GPU (+2.4%)" in text
    assert "fullest rank); predicted 40.00 GiB (-6.0%)" in text


def test_a_run_without_results_shows_what_was_predicted() -> None:
    waiting = replace(RECORD, status="submitted", summary=None, predicted=PREDICTED)
    assert "predicted  2.00 s, 16,400 tokens/s/GPU, 325.4 TFLOP/s/GPU, 40.00 GiB" in show_summary(waiting)
    assert "predicted" not in show_summary(replace(waiting, predicted=None))
