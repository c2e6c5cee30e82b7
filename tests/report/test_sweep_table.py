"""A sweep's tables to the letter; a figure that is missing is a dash."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from stored_records import load_version, result_of, with_result

from harness.config.provenance import Resolved
from harness.report.text.sweep_table import (
    PointPreview,
    PointResult,
    best_points,
    preview_data,
    results_data,
    show_cost,
    show_preview,
    show_refused,
    show_results,
)
from harness.runs.record import Cause, RunError, RunRecord
from harness.runs.store import StoredRun

RECORD = load_version(1)

RESULTS = """\
    EP    status     step time    predicted        tokens/s/GPU    TFLOP/s/GPU    memory     loss    run
--  ----  ---------  -----------  ---------------  --------------  -------------  ---------  ------  ---------
*   2     completed  2.04 s       2.25 s (+10.0%)  16,023          317.8          42.54 GiB  8.0000  run-two
    4     completed  4.09 s       –                8,012           317.8          42.54 GiB  8.0000  run-four
    8     failed     –            3.00 s           –               –              –          –       run-eight
    16    not run    –            –                –               –              –          –       –
* most tokens/s/GPU of a model and sequence length
EP=8: CUDA ran out of memory. Recompute more."""

PREVIEW = """\
EP    nodes    GPUs    time limit    predicted step    memory     GPU-hours at most    predicted
----  -------  ------  ------------  ----------------  ---------  -------------------  -----------  ------
2     1        8       00:20:00      17.00 s           64.00 GiB  2.7                  1.5          to run
4     2        16      00:20:00      –                 –          5.3                  –            to run"""


def result(ep: int, record: RunRecord | None) -> PointResult:
    run = StoredRun(folder=Path("/runs") / record.run_id, record=record) if record else None
    return PointResult(point=f"EP={ep}", values={"EP": str(ep)}, run=run)


def results() -> list[PointResult]:
    summary = result_of(RECORD).summary
    assert summary is not None and summary.median_s and summary.tokens_per_s_per_gpu
    slower = replace(summary, median_s=2 * summary.median_s, tokens_per_s_per_gpu=summary.tokens_per_s_per_gpu / 2)
    cause = Cause(name="cuda-oom", text="CUDA ran out of memory.", change="Recompute more.")
    error = RunError(exit_code=1, cause=cause)
    failed = with_result(RECORD, predicted={"step_time_s": 3.0}, summary=None)
    return [
        result(2, replace(with_result(RECORD, predicted={"step_time_s": 1.1 * summary.median_s}), run_id="run-two")),
        result(4, replace(with_result(RECORD, predicted=None, summary=slower), run_id="run-four")),
        result(8, replace(failed, run_id="run-eight", status="failed", error=error)),
        result(16, None),
    ]


def test_results() -> None:
    assert show_results(["EP"], results()) == RESULTS


def test_results_for_a_program() -> None:
    data = results_data(results())
    assert [it["best"] for it in data] == [True, False, False, False]
    assert (data[0]["run"]["step_time_s"], data[0]["run"]["cause"]) == (2.045, None)
    cause = {"name": "cuda-oom", "text": "CUDA ran out of memory.", "change": "Recompute more."}
    assert (data[2]["run"]["run_id"], data[2]["run"]["cause"]) == ("run-eight", cause)
    assert data[3] == {"point": "EP=16", "settings": {"EP": "16"}, "run": None, "best": False}


def test_the_best_is_told_of_what_compares(resolve: Callable[..., Resolved]) -> None:
    two, four, *_ = results()
    assert best_points([two]) == set()
    assert four.record
    other = result(4, replace(four.record, resolved=resolve("MODEL=Mixtral-8x2B", "DATASET=mock")))
    assert best_points([two, other]) == set()
    assert best_points([four, two]) == {"EP=2"}


def preview(ep: int, step_s: float | None) -> PointPreview:
    return PointPreview(
        point=f"EP={ep}",
        values={"EP": str(ep)},
        nodes=ep // 2,
        gpus=4 * ep,
        time_limit="00:20:00",
        predicted=None if step_s is None else {"step_time_s": step_s, "peak_memory_bytes": 64 * 2**30},
        gpu_hours=4 * ep / 3,
        predicted_gpu_hours=None if step_s is None else 1.5,
        run=None,
        to_run=True,
    )


def test_preview_and_cost() -> None:
    jobs = [preview(2, 17.0), preview(4, None)]
    assert show_preview(["EP"], jobs) == PREVIEW
    assert show_cost(jobs) == (
        "2 jobs to run, at most 8 GPU-hours by their time limits; predicted 1.5 for 1 of them, without start-up"
    )
    assert show_cost([replace(jobs[1], gpu_hours=None)]) == "1 job to run"


def test_a_preview_for_a_program_is_told_as_its_results_are() -> None:
    failed = results()[2].run
    first, again = preview_data([preview(2, 17.0), replace(preview(4, None), run=failed)])
    assert (first["point"], first["settings"], first["run"], first["to_run"]) == ("EP=2", {"EP": "2"}, None, True)
    assert (first["ranks"], first["predicted"]["step_time_s"], first["gpu_hours"]) == (8, 17.0, 8 / 3)
    assert (again["run"]["status"], again["run"]["folder"], again["predicted"]) == ("failed", "/runs/run-eight", None)
    assert replace(preview(4, None), run=failed).now == "to run again, failed: run-eight"
    assert replace(preview(4, None), run=failed, to_run=False).now == "failed: run-eight"


def test_refused_points_with_all_their_reasons() -> None:
    assert show_refused({"EP=3": ["it does not divide", "nor this"], "EP=48": ["too many"]}) == (
        "2 refused:\nEP=3   it does not divide\n       nor this\nEP=48  too many"
    )
