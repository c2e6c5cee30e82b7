"""Results of evaluations as files: their names, their schema, and what is no result."""

import errno
import json
import os
import re
import threading
from dataclasses import replace
from datetime import timedelta, timezone
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from evaluation_results import CHECKPOINT, MADE, SPEC, sections, whole_result
from small_disk import small_disk

from harness.errors import ConfigError, EnvironmentProblem
from harness.evaluation import result_file
from harness.evaluation.document import result_document
from harness.evaluation.result_file import find_result, list_results, read_result, write_result


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """Of the schema that ships."""
    schema = json.loads((resources.files("harness.evaluation") / "eval_results.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_a_written_result_is_read_again_and_fits_the_schema(
    tmp_path: Path, validator: jsonschema.Draft202012Validator
) -> None:
    document = whole_result()
    path = write_result(tmp_path / "new" / "eval", document)
    assert path == tmp_path / "new" / "eval" / "eval_results_20260131_120005.json"
    assert read_result(path) == {**document, "output_file": str(path)}
    validator.validate(read_result(path))
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("left_out", [*sections(), None])
def test_what_was_not_measured_is_left_out(left_out: str | None, validator: jsonschema.Draft202012Validator) -> None:
    measured = {name: of for name, of in sections().items() if name != left_out}
    document = whole_result(**measured) if left_out else whole_result(routing_stats={})
    assert left_out not in document
    validator.validate(document)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schema_version",), "1"),
        (("eval_timestamp",), "yesterday"),
        (("routing_stats", "layer_1", "tokens_per_expert"), [0.5]),
        (("routing_stats", "layer_x"), {}),
        (("validation", "loss"), "low"),
        (("mapping", "tp"), 0),
        (("more",), 1),
    ],
)
def test_the_schema_refuses_other_values(
    place: tuple[str, ...], value: object, validator: jsonschema.Draft202012Validator
) -> None:
    document = whole_result()
    at: dict[str, Any] = document
    for name in place[:-1]:
        at = at[name]
    at[place[-1]] = value
    assert not validator.is_valid(document)


def test_a_document_says_what_makes_results_alike() -> None:
    document = whole_result()
    assert document["identity"] == SPEC.identity(CHECKPOINT)
    assert (document["checkpoint_dir"], document["step"], document["seed"]) == ("/runs/a/checkpoints", 150, 1337)
    assert document["evaluation"]["data"]["fingerprint"] == "beef"
    assert document["evaluation"]["tasks"]["tasks"] == ["arc_easy"]
    assert (document["config"], document["model_args"]) == ({"PR": "fp32"}, {"--num-experts": "8"})


def test_a_section_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="rooting"):
        whole_result(rooting={})


def test_numbers_that_json_lacks_are_texts(tmp_path: Path, validator: jsonschema.Draft202012Validator) -> None:
    lost = {"loss": float("nan"), "perplexity": float("inf"), "tokens": 4}
    path = write_result(tmp_path, whole_result(validation=lost))
    assert read_result(path)["validation"] == {"loss": "nan", "perplexity": "inf", "tokens": 4}
    validator.validate(read_result(path))


def test_the_time_is_told_in_utc(tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    told = {"walltime_s": 1.0, "versions": {}, "world": {}}
    document = result_document(SPEC, CHECKPOINT, {}, timestamp=MADE.astimezone(zone), **told)  # type: ignore[arg-type]
    assert document["eval_timestamp"] == "2026-01-31T12:00:05Z"
    assert write_result(tmp_path, document).name == "eval_results_20260131_120005.json"


@pytest.mark.parametrize("links", [True, False])
def test_results_of_one_second_never_overwrite_one_another(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr("os.link", no_links)
    together = threading.Barrier(8)

    def write(number: int) -> None:
        document = whole_result(validation={"loss": number, "perplexity": 1, "tokens": 1})
        together.wait()
        write_result(tmp_path, document)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = [read_result(path) for path in list_results(tmp_path)]
    assert sorted(it["validation"]["loss"] for it in found) == list(range(8))
    assert [it["output_file"] for it in found] == [str(path) for path in list_results(tmp_path)]
    suffixes = ["", *(f"_{number}" for number in range(2, 9))]
    assert [path.name for path in list_results(tmp_path)] == [
        f"eval_results_20260131_120005{it}.json" for it in suffixes
    ]
    assert len(list(tmp_path.iterdir())) == 8


def no_links(*_paths: object) -> None:
    """What a file system without hard links answers."""
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    with small_disk(tmp_path, "8k") as disk:
        with pytest.raises(EnvironmentProblem, match=r"No space left on device; make OUTPUT_DIR a writable folder"):
            write_result(disk, whole_result())
        assert list(disk.iterdir()) == []


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentProblem, match=re.escape(f"{tmp_path / 'file' / 'eval'}: cannot write the result")):
        write_result(tmp_path / "file" / "eval", whole_result())


def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m,ro") as disk:
        with pytest.raises(EnvironmentProblem, match=f"{disk}: .*Read-only file system"):
            write_result(disk, whole_result())


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "damaged: not JSON"),
        ('{"schema_version": 1', "damaged: not JSON"),
        ("[" * 100_000, "damaged: not JSON"),
        ('{"schema_version": NaN}', "damaged: not JSON (NaN is no number there)"),
        ("[]", "no result of an evaluation; name a file"),
        ('{"schema_version": 1}', "no result of an evaluation"),
        ('{"schema_version": true, "identity": ""}', "no result of an evaluation"),
        ('{"schema_version": 9}', "schema_version 9 is newer than this moe-harness, which reads up to 1; use a newer"),
    ],
)
def test_what_is_no_result_is_refused(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "eval_results_20260101_000000.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(f"{path}: ") + ".*" + re.escape(what)):
        read_result(path)


def test_damage_within_a_result_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for name, value in {"validation": 3, "eval_timestamp": "soon"}.items():
        path.write_text(json.dumps({**whole_result(), name: value}))
        with pytest.raises(ConfigError, match=f"damaged at {name}; evaluate again"):
            read_result(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not JSON"):
        read_result(path)
    with pytest.raises(ConfigError, match="No such file"):
        read_result(tmp_path / "none.json")


def test_a_result_of_an_older_version_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_result(tmp_path, whole_result())
    monkeypatch.setattr(result_file, "SCHEMA_VERSION", 2)
    assert read_result(path)["schema_version"] == 1


def test_the_newest_result_of_the_same_is_found(tmp_path: Path) -> None:
    mine = replace(SPEC, output_dir=str(tmp_path))
    assert find_result(replace(SPEC, output_dir=str(tmp_path / "none")), CHECKPOINT) is None
    older = write_result(tmp_path, {**whole_result(), "eval_timestamp": "2025-01-31T12:00:05Z"})
    newer = write_result(tmp_path, whole_result())
    write_result(tmp_path, {**whole_result(), "identity": "another", "eval_timestamp": "2027-01-01T00:00:00Z"})
    (tmp_path / "eval_results_20280101_000000.json").write_text('{"schema_')
    (tmp_path / "eval_results_20290101_000000.json").mkdir()
    assert find_result(mine, CHECKPOINT) == newer
    newer.write_text("")
    assert find_result(mine, CHECKPOINT) == older
    assert find_result(replace(mine, seed=7), CHECKPOINT) is None


def test_a_repetition_takes_the_place_of_what_was_measured_before(tmp_path: Path) -> None:
    """It is measured although there is a result, and from then on it is the result."""
    plain = replace(SPEC, output_dir=str(tmp_path))
    repeated = replace(plain, again="5eed")
    write_result(tmp_path, whole_result())
    assert find_result(repeated, CHECKPOINT) is None
    newer = write_result(tmp_path, {**whole_result(), "again": "5eed", "eval_timestamp": "2026-02-01T00:00:00Z"})
    assert find_result(repeated, CHECKPOINT) == newer
    assert find_result(plain, CHECKPOINT) == newer
    assert find_result(replace(plain, again="another"), CHECKPOINT) is None
