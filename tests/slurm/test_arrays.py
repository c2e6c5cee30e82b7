"""Array jobs on a real Slurm: one job, each of its tasks a run with a folder, a record and an end of its own."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from launching import User
from packing_kind import PACKING, PACKING_VIEW

from harness.config.provenance import Resolved
from harness.launch.job import Array, Job, Program
from harness.launch.parse_job import part_of_a_node
from harness.launch.run import open_array
from harness.report.text.kind_views import VIEWS
from harness.runs.cancellation import request_end
from harness.runs.kinds import KINDS
from harness.runs.reconcile.reconcile import reconcile_all
from harness.runs.record_file import save
from harness.runs.render_job import render_job
from harness.runs.store import StoredRun, list_runs
from harness.runs.submission import submit_array

# Task 1 fails at its first start by what may pass; the last one waits for `go`.
PROGRAM = """
echo "packed $((SLURM_ARRAY_TASK_ID + 1)).5"
if [ "$SLURM_ARRAY_TASK_ID" = 1 ] && [ "${SLURM_RESTART_COUNT:-0}" = 0 ]; then
  echo "Watchdog caught collective operation timeout"
  exit 3
fi
while [ "$SLURM_ARRAY_TASK_ID" = 2 ] && [ ! -e "$GO" ]; do sleep 0.05; done
"""

type Submit = Callable[..., tuple[StoredRun, ...]]


@pytest.fixture
def submit(user: User, resolve: Callable[..., Resolved], monkeypatch: pytest.MonkeyPatch) -> Iterator[Submit]:
    """Submits an array of three tasks."""
    monkeypatch.setitem(KINDS, PACKING.name, PACKING)
    monkeypatch.setitem(VIEWS, PACKING.name, PACKING_VIEW)
    for name, value in user.environ.items():
        monkeypatch.setenv(name, value)

    def call(*, retries: int = 0, at_once: int | None = None) -> tuple[StoredRun, ...]:
        resolved = resolve("MODEL=Mixtral-8x2B", cluster="here", here=user.folder)
        job = Job(
            kind=PACKING.name,
            name="boxes",
            executor="slurm",
            resources=part_of_a_node(resolved, cpus=1, memory="100M", time_limit_s=60),
            program=Program(argv=("bash", "-c", PROGRAM), env={}, python=sys.executable, distributed=False),
            retries=retries,
            array=Array(tasks=3, at_once=at_once),
        )
        return submit_array(open_array(resolved, render_job(resolved, job)), resolved, campaign="boxes")

    return call


def statuses(runs: tuple[StoredRun, ...]) -> list[str]:
    return [run.record.status for run in reconcile_all(runs).runs]


def records(user: User) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(user.output.glob("*/record.json"))]


def test_each_task_is_a_run_with_a_folder_and_an_end_of_its_own(submit: Submit, user: User) -> None:
    runs = submit()
    (array_id,) = {run.record.job.array_id for run in runs}
    assert [run.record.job.job_id for run in runs] == [f"{array_id}_{task}" for task in range(3)]
    assert [run.folder.name[-2:] for run in runs] == ["-0", "-1", "-2"]
    user.cluster.wait("two ends", lambda: statuses(runs) == ["completed", "failed", "running"], 60, lambda: "")
    user.go.touch()
    user.cluster.wait("all ends", lambda: statuses(runs) == ["completed", "failed", "completed"], 60, lambda: "")
    found = records(user)
    assert [it["job"]["task"] for it in found] == [0, 1, 2]
    assert all(f"0: packed {task + 1}.5\n" in (run.folder / "log").read_text() for task, run in enumerate(runs))
    attempts = [[attempt["job_id"] for attempt in it["attempts"]] for it in found]
    assert attempts == [[f"{array_id}_{task}"] for task in range(3)]
    assert found[1]["error"]["exit_code"] == 3
    assert [it["campaign"] for it in found] == [
        {"campaign": "boxes", "item": str(task), "repeat": None} for task in range(3)
    ]


def test_one_task_is_cancelled_and_the_others_go_on(submit: Submit, user: User) -> None:
    runs = submit()
    user.cluster.wait("the last to run", lambda: statuses(runs)[2] == "running", 60, lambda: "")
    assert request_end(runs[2]) is None
    user.cluster.wait("its end", lambda: statuses(runs) == ["completed", "failed", "cancelled"], 60, lambda: "")


def test_jobs_are_found_again_by_folder_and_task(submit: Submit, user: User) -> None:
    runs = submit()
    for run in runs:
        save(replace(run.record, job=replace(run.record.job, job_id=None)), run.paths.record)
    user.go.touch()
    found = list_runs(user.output).runs
    user.cluster.wait(
        "all ends", lambda: sorted(statuses(found)) == ["completed", "completed", "failed"], 60, lambda: ""
    )
    assert sorted(it["job"]["job_id"] for it in records(user)) == sorted(run.record.job.job_id or "" for run in runs)


def test_a_task_is_tried_again_alone(submit: Submit, user: User) -> None:
    user.go.touch()
    runs = submit(retries=1)
    user.cluster.wait("all ends", lambda: set(statuses(runs)) == {"completed"}, 180, lambda: "")
    assert [len(it["attempts"]) for it in records(user)] == [1, 2, 1]
