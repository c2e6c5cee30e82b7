"""`moe-harness eval compare` on files."""

import json
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from click.testing import CliRunner, Result
from evaluation_documents import evaluation_document

import harness.evaluation
from harness.cli.eval_compare import command
from harness.errors import ConfigError
from harness.evaluation.result_file import write_result


@click.group()
def _eval() -> None:
    """Stands for the group that has the command."""


_eval.add_command(command)


def _compare(*words: str | Path) -> Result:
    return CliRunner().invoke(_eval, ["compare", *map(str, words)])


def _problems(*words: str | Path) -> tuple[str, ...]:
    error = _compare(*words).exception
    assert isinstance(error, ConfigError)
    return error.problems


def _written(folder: Path, step: int, **values: Any) -> Path:
    document = evaluation_document(step, **values)
    return write_result(folder, {**document, "eval_timestamp": f"2026-01-01T00:00:{step % 60:02d}Z"})


def test_what_is_made_up_here_is_a_result() -> None:
    schema = Path(harness.evaluation.__path__[0], "eval_results.schema.json").read_text()
    jsonschema.validate(evaluation_document(), json.loads(schema))


def test_two_files(tmp_path: Path) -> None:
    a, b = _written(tmp_path / "a", 1), _written(tmp_path / "b", 2, loss=2.9, noise=1)
    answer = _compare(a, b)
    assert answer.exit_code == 0, answer.output
    assert "paired t over 40 windows" in answer.output
    data = json.loads(_compare(a, b, "--json").output)
    assert data["results"] == ["iter_0000001", "iter_0000002"]


def test_a_folder_is_its_newest_and_alone_its_two_newest(tmp_path: Path) -> None:
    for step in (1, 3, 2):
        _written(tmp_path / "run" / "eval", step)
    other = _written(tmp_path / "other", 9)
    alone = json.loads(_compare(tmp_path / "run", "--json").output)
    assert alone["results"] == ["iter_0000002", "iter_0000003"]
    among = json.loads(_compare(tmp_path / "run" / "eval", other, tmp_path / "run", "--json").output)
    assert len(among["results"]) == 3
    assert among["metrics"][0]["values"][0] == among["metrics"][0]["values"][2]


def test_too_few_results(tmp_path: Path) -> None:
    one = _written(tmp_path / "one", 1)
    assert _problems(one) == (f"{one}: one result is no comparison; name two or more, or a folder of two or more",)
    (tmp_path / "none").mkdir()
    few = "results eval_results_*.json in this folder or its folder eval, not"
    assert _problems(one.parent)[0].startswith(f"{one.parent}: 1 {few} 2; evaluate first")
    assert _problems(one, tmp_path / "none", tmp_path / "none") == (
        *[f"{tmp_path / 'none'}: 0 {few} 1; evaluate first: moe-harness eval CHECKPOINT"] * 2,
    )
    assert _compare().exit_code == 2


def test_all_unreadable_files_at_once(tmp_path: Path) -> None:
    good = _written(tmp_path, 1)
    (tmp_path / "torn.json").write_text(good.read_text()[:-30])
    (tmp_path / "newer.json").write_text(json.dumps(evaluation_document() | {"schema_version": 99}))
    (tmp_path / "other.json").write_text("[]")
    names = ("torn.json", "newer.json", "other.json", "missing.json")
    problems = _problems(good, *(tmp_path / name for name in names))
    assert [problem.partition(": ")[0] for problem in problems] == [str(tmp_path / name) for name in names]


def test_unlike_evaluations(tmp_path: Path) -> None:
    a, b = _written(tmp_path, 1), tmp_path / "b.json"
    document = json.loads(a.read_text())
    document["evaluation"]["seq_len"] = 256
    document["validation"]["data"]["sha256"] = "b" * 64
    b.write_text(json.dumps(document | {"checkpoint_dir": "/ckpt/other"}))
    problems = _problems(a, b)
    assert [problem.partition(":")[0] for problem in problems[:-1]] == ["other is unlike iter_0000001"] * 2
    assert "sequence length (evaluation.seq_len): 256, not 128" in "\n".join(problems)
    forced = _compare(a, b, "--force")
    assert forced.exit_code == 0 and forced.output.startswith("compared by --force, although these are not alike:")
    assert len(json.loads(_compare(a, b, "--force", "--json").output)["unlike"]) == len(problems) - 1


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("validation", "windows", [[1.0]]),
        ("validation", "windows", "x"),
        ("validation", "windows", [None]),
        ("lm_eval", "results", [1]),
        ("lm_eval", "samples", {"chapters": [1, {"doc_id": 1}]}),
        ("lm_eval", "higher_is_better", "x"),
        ("routing_stats", "layer_0", 5),
        ("routing_stats", "layer_1", {"gini_coefficient": 0.5, "tokens_per_expert": ["x", None]}),
        ("inference_performance", "latency_ms_p05", "x"),
    ],
)
def test_what_somebody_edited_is_missing_not_a_traceback(tmp_path: Path, section: str, key: str, value: object) -> None:
    a, b = _written(tmp_path, 1), _written(tmp_path, 2)
    document = json.loads(b.read_text())
    document[section][key] = value
    b.write_text(json.dumps(document))
    for pair in ((a, b), (b, a), (b, b)):
        answer = _compare(*pair)
        assert answer.exit_code == 0, answer.exception
