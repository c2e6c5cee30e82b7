"""Records: whole, versioned, without secrets, and refused with a reason."""

import json
import math
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.config.secrets import is_secret
from harness.errors import EnvironmentProblem
from harness.runs.json_codec import Mismatch
from harness.runs.record import SCHEMA_VERSION, Cause, RunError, RunRecord
from harness.runs.record_file import MIGRATIONS, UnreadableRecord, load, migrate, save, to_document
from harness.training.summary import nan_steps

RECORDS = Path(__file__).parents[1] / "fixtures" / "records"


CURRENT = RECORDS / f"version-{SCHEMA_VERSION}.json"


def record() -> RunRecord:
    return load(CURRENT)


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_records_of_every_version_are_readable(version: int) -> None:
    found = load(RECORDS / f"version-{version}.json")
    assert found.schema_version == SCHEMA_VERSION
    assert (found.run_id, found.status) == ("20250304-102030-DeepSeek-V2-Lite-1a2b", "completed")
    assert found.resolved.megatron_args["--data-path"] == ("0.5", "/data/a b", "0.5", "/data/c")
    assert found.resolved.megatron_args["--swiglu"] is False
    assert str(found.resolved.origins["EP"][0].origin) == "runtime_configs/benchmarking/runtime.conf:12"
    assert [str(it) for it in found.differences][3] == "dispatcher: asked flex, in effect alltoall"
    assert found.summary is not None and found.summary.median_s == 2.045
    assert len(found.samples) == 6


def test_version_1_knew_nothing_of_slurm_and_version_2_tells_its_attempts_and_cause() -> None:
    first, second = (load(RECORDS / f"version-{version}.json") for version in (1, 2))
    assert (first.job.job_id, first.attempts, first.error, first.sweep) == (None, (), None, None)
    assert (second.job.job_id, second.job.cluster) == ("4711", "alps")
    assert [(it.state, it.nodes, it.resumed_from, it.retried) for it in second.attempts] == [
        ("NODE_FAIL", ("node1", "node2"), None, "nccl-timeout"),
        ("COMPLETED", ("node1", "node3"), 3, None),
    ]
    assert second.attempts[0].excluded == ("node2",)
    assert second.error is not None and second.error.cause is not None
    assert (second.error.exit_codes, second.error.cause.ranks) == ({"0": 0, "3": 1}, (3,))
    assert second.sweep is not None and second.sweep.point == "EP=4 MBS=2"


def test_every_older_version_has_a_migration() -> None:
    assert set(MIGRATIONS) == set(range(1, SCHEMA_VERSION))


def test_migrations_run_in_order_one_version_at_a_time() -> None:
    steps = {1: lambda it: {**it, "seen": [1]}, 2: lambda it: {**it, "seen": [*it["seen"], 2]}}
    assert migrate({"schema_version": 1}, steps, to=3) == {"schema_version": 3, "seen": [1, 2]}
    assert migrate({"schema_version": 3}, steps, to=3) == {"schema_version": 3}


@pytest.mark.parametrize("version", [None, "1", 0, -1, True, 1.0])
def test_a_version_that_never_was_is_refused(version: Any) -> None:
    with pytest.raises(Mismatch, match="schema_version: expected a whole number up to 2, found"):
        migrate({"schema_version": version})


def test_a_newer_record_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text('{"schema_version": 99}')
    with pytest.raises(UnreadableRecord) as refused:
        load(path)
    assert str(refused.value) == (
        f"{path}: cannot read this record: schema_version: 99 is newer than this moe-harness, which reads up to 2; "
        "use a newer moe-harness"
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    before = record()
    save(before, tmp_path / "record.json", {})
    after = load(tmp_path / "record.json")
    assert to_document(after, {}) == to_document(before, {})
    assert after.samples == before.samples
    assert after.summary == before.summary
    assert (tmp_path / "record.json").read_text() == CURRENT.read_text()


def test_nan_and_infinity_are_written_as_portable_json(tmp_path: Path) -> None:
    before = record()
    broken = replace(before.samples[0], loss=math.nan, grad_norm=-math.inf, other={"z_loss": math.inf})
    save(replace(before, samples=(broken,)), tmp_path / "record.json", {})
    json.loads((tmp_path / "record.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    (after,) = load(tmp_path / "record.json").samples
    assert after.loss is not None and math.isnan(after.loss)
    assert (after.grad_norm, after.other, nan_steps(after)) == (-math.inf, {"z_loss": math.inf}, 1)


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
        ({"in_effect": {"setup": {}, "flops_per_step": "many"}}, "flops_per_step: expected a number, found 'many'"),
        ({"error": {"exit_code": True}}, "error.exit_code: expected a whole number, found True"),
        ({"samples": [{"iteration": 1, "train_iters": 2}]}, r"samples\[0\].step_s: missing"),
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
