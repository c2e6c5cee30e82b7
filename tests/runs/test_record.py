"""Records: whole, versioned, without secrets, and refused with a reason."""

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stored_records import RECORDS, load_version, result_of

from harness.config.secrets import is_secret
from harness.errors import EnvironmentProblem
from harness.runs.json_codec import Mismatch
from harness.runs.migrations import MIGRATIONS
from harness.runs.record import SCHEMA_VERSION, Cause, JobRecord, RunError, RunRecord
from harness.runs.record_file import UnreadableRecord, load, migrate, save, to_document

CURRENT = RECORDS / f"version-{SCHEMA_VERSION}.json"


def record() -> RunRecord:
    return load_version(SCHEMA_VERSION)


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_records_of_every_version_are_readable(version: int) -> None:
    found = load_version(version)
    assert found.schema_version == SCHEMA_VERSION
    result = result_of(found)
    assert (found.run_id, found.kind, found.status) == (
        "20250304-102030-DeepSeek-V2-Lite-1a2b",
        "training",
        "completed",
    )
    assert found.resolved.megatron_args["--data-path"] == ("0.5", "/data/a b", "0.5", "/data/c")
    assert found.resolved.megatron_args["--swiglu"] is False
    assert str(found.resolved.origins["EP"][0].origin) == "runtime_configs/benchmarking/runtime.conf:12"
    assert [str(it) for it in result.differences][3] == "dispatcher: asked flex, in effect alltoall"
    assert result.summary is not None and result.summary.median_s == 2.045
    assert (result.asked.world_size, result.predicted) == (8, None)


def test_version_1_knew_nothing_of_slurm_and_version_2_tells_its_attempts_and_cause() -> None:
    first, second = load_version(1), load_version(2)
    assert (first.job.job_id, first.attempts, first.error, first.campaign) == (None, (), None, None)
    assert (second.job.job_id, second.job.cluster) == ("4711", "alps")
    assert [(it.state, it.nodes, it.resumed_from, it.retried) for it in second.attempts] == [
        ("NODE_FAIL", ("node1", "node2"), None, "nccl-timeout"),
        ("COMPLETED", ("node1", "node3"), 3, None),
    ]
    assert second.attempts[0].excluded == ("node2",)
    assert second.error is not None and second.error.cause is not None
    assert (second.error.exit_codes, second.error.cause.ranks) == ({"0": 0, "3": 1}, (3,))
    assert second.campaign is not None
    assert (second.campaign.campaign, second.campaign.item) == ("a-sweep", "EP=4 MBS=2")


def test_version_2_says_all_that_version_3_says_of_the_same_run() -> None:
    assert load_version(2) == load_version(3)


def test_a_task_of_an_array_knows_the_id_that_all_its_tasks_share() -> None:
    task = JobRecord(on="slurm", nodes=1, gpus_per_node=8, command=(), host="login1", job_id="4711_3", task=3)
    assert (task.array_id, replace(task, job_id="4711").array_id, replace(task, job_id=None).array_id) == (
        "4711",
        None,
        None,
    )


def test_a_kind_of_a_newer_moe_harness_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(json.loads(CURRENT.read_text()) | {"kind": "rehearsal", "result": {"stage": 3}}))
    with pytest.raises(UnreadableRecord) as refused:
        load(path)
    assert str(refused.value) == (
        f"{path}: cannot read this record: kind: 'rehearsal' is no kind of run that this moe-harness knows; "
        "use a newer moe-harness"
    )


def test_every_older_version_has_a_migration() -> None:
    assert set(MIGRATIONS) == set(range(1, SCHEMA_VERSION))


def test_migrations_run_in_order_one_version_at_a_time() -> None:
    steps = {1: lambda it: {**it, "seen": [1]}, 2: lambda it: {**it, "seen": [*it["seen"], 2]}}
    assert migrate({"schema_version": 1}, steps, to=3) == {"schema_version": 3, "seen": [1, 2]}
    assert migrate({"schema_version": 3}, steps, to=3) == {"schema_version": 3}


@pytest.mark.parametrize("version", [None, "1", 0, -1, True, 1.0])
def test_a_version_that_never_was_is_refused(version: Any) -> None:
    with pytest.raises(Mismatch, match="schema_version: expected a whole number up to 3, found"):
        migrate({"schema_version": version})


def test_a_newer_record_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text('{"schema_version": 99}')
    with pytest.raises(UnreadableRecord) as refused:
        load(path)
    assert str(refused.value) == (
        f"{path}: cannot read this record: schema_version: 99 is newer than this moe-harness, which reads up to 3; "
        "use a newer moe-harness"
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    before = record()
    save(before, tmp_path / "record.json", {})
    after = load(tmp_path / "record.json")
    assert to_document(after, {}) == to_document(before, {})
    assert after == before
    assert (tmp_path / "record.json").read_text() == CURRENT.read_text()


def test_secrets_are_written_neither_by_name_nor_by_value(tmp_path: Path) -> None:
    before = record()
    resolved = replace(before.resolved, env={"WANDB_API_KEY": "hunter22", "OMP_NUM_THREADS": "1"})
    error = RunError(exit_code=1, rank=0, traceback="login failed for hunter22 and s3cr3t-t0ken")
    save(replace(before, resolved=resolved, error=error), tmp_path / "record.json", {"HF_TOKEN": "s3cr3t-t0ken"})
    text = (tmp_path / "record.json").read_text()
    assert "hunter2" not in text and "s3cr3t" not in text and "WANDB_API_KEY" not in text
    after = load(tmp_path / "record.json")
    assert after.resolved.env == {"OMP_NUM_THREADS": "1"}
    assert after.error is not None and after.error.traceback == "login failed for *** and ***"


def test_a_rank_s_words_hold_no_key_of_known_shape(tmp_path: Path) -> None:
    """They may be read first by a shell that does not have the job's secrets."""
    key, token, commit = "9876543210abcdef" * 2 + "01234567", f"hf_{'aB3' * 11}", "f" * 40
    said = f'401 for {key}:\n{token}\n  File "/hub/snapshots/{commit}/x.py"'
    error = RunError(traceback=said, cause=Cause(name="x", text="", change="", evidence=f"key={key}"))
    save(replace(record(), error=error), tmp_path / "record.json", {})
    text = (tmp_path / "record.json").read_text()
    assert key not in text and token not in text and f"snapshots/{commit}/x.py" in text


@pytest.mark.parametrize("name", ["WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_PASSWORD", "wandb_api_key"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["TOKENIZER_MODEL", "PATH", "NCCL_IB_PKEY", "HF_TOKENIZERS"])
def test_names_that_are_no_secrets(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"run_id": 7}, "run_id: expected a text, found 7"),
        ({"status": "lost"}, r"status: expected .* or cancelled, found 'lost'"),
        ({"job": None}, "job: expected an object, found None"),
        ({"hosts": "a"}, "hosts: expected a list, found 'a'"),
        ({"paths": []}, r"paths: expected an object, found \[\]"),
        ({"hosts": ["a", 1]}, r"hosts\[1\]: expected a text, found 1"),
        ({"kind": 7}, "kind: expected a text, found 7"),
        ({"campaign": {"campaign": "a"}}, "campaign.item: missing"),
        ({"result": {}}, "result.asked: missing"),
        ({"result": {"asked": {"tp": "2"}}}, "result.asked.tp: expected a whole number, found '2'"),
        ({"error": {"exit_code": True}}, "error.exit_code: expected a whole number, found True"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(json.loads(CURRENT.read_text()) | change))
    with pytest.raises(UnreadableRecord, match=complaint):
        load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\x01", "[" * 100_000, '{"schema_version": 1}'])
def test_a_damaged_file_is_an_error_a_user_can_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(UnreadableRecord, match=r"record\.json: "):
        load(tmp_path / "record.json")


def test_a_write_that_fails_leaves_the_old_record_and_no_rubbish(tmp_path: Path) -> None:
    """The system itself refuses to write more than 4 KiB."""
    path = tmp_path / "record.json"
    save(record(), path, {})
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(EnvironmentProblem, match="cannot write the run's record: File too large; make OUTPUT_PATH"):
            save(replace(record(), status="failed"), path, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match=r"none/record\.json: cannot write the run's record: No such file"):
        save(record(), tmp_path / "none" / "record.json", {})
