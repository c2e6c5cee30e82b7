"""What sets two evaluations apart, so that neither shows the other's result."""

from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_results import CHECKPOINT, SPEC

from harness.evaluation.fingerprints import fingerprint_of_tasks, tokenizer_sha256
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec, TaskOptions


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, seed=7),
        replace(SPEC, settings={"PR": "bf16"}),
        replace(SPEC, model_args={"--num-experts": "8", "--moe-router-topk": "3"}),
        replace(SPEC, data=replace(SPEC.data, fingerprint="other content")),
        replace(SPEC, data=replace(SPEC.data, tokenizer_sha256="other content")),
        replace(SPEC, tasks=TaskOptions(tasks=("arc_easy",), limit=5)),
        replace(SPEC, tasks=TaskOptions(tasks=("arc_easy",), num_fewshot=0)),
        replace(SPEC, tasks=TaskOptions(tasks=("arc_easy",), fingerprint="other content")),
        SPEC.without_tasks(),
    ],
)
def test_what_is_measured_otherwise_has_another_identity(other: EvaluationSpec) -> None:
    assert other.identity(CHECKPOINT) != SPEC.identity(CHECKPOINT)


def test_weights_of_another_fingerprint_are_others() -> None:
    assert SPEC.identity(replace(CHECKPOINT, fingerprint="other")) != SPEC.identity(CHECKPOINT)


def test_where_results_go_and_what_else_is_measured_sets_nothing_apart() -> None:
    more = (CHECKPOINT, EvaluatedCheckpoint(folder="/runs/a/other"))
    same = replace(SPEC, output_dir="/elsewhere", checkpoints=more, again="once more")
    assert same.identity(CHECKPOINT) == SPEC.identity(CHECKPOINT)


def test_a_tokenizer_is_known_by_what_its_files_hold(tmp_path: Path) -> None:
    """Not by its path, nor by the weights beside it."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer.json").write_text("{}")
        (tmp_path / name / "weights.distcp").write_text(name)
    first, second = (tokenizer_sha256(str(tmp_path / name)) for name in ("a", "b"))
    assert first == second is not None
    (tmp_path / "b" / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    changed = tokenizer_sha256(str(tmp_path / "b"))
    assert changed != first
    (tmp_path / "b" / "tokenizer_config.json").write_text('{"eos_token": "<e>"}')
    assert tokenizer_sha256(str(tmp_path / "b")) not in (first, changed)
    assert tokenizer_sha256(str(tmp_path / "none")) is None
    assert tokenizer_sha256(None) is None


def test_tasks_of_ones_own_are_known_by_their_files(tmp_path: Path) -> None:
    """Those of a folder, at any depth, and those that are named as files; lm-eval's by their names alone."""
    folder, file = tmp_path / "tasks", tmp_path / "one.yaml"
    folder.mkdir()
    file.write_text("task: one")
    seen = [fingerprint_of_tasks(str(folder), ["mmlu"]), fingerprint_of_tasks(str(folder), [str(file)])]
    (folder / "data").mkdir()
    (folder / "data" / "documents.jsonl").write_text("{}")
    seen += [fingerprint_of_tasks(str(folder), ["mmlu"]), fingerprint_of_tasks(str(folder), [str(file)])]
    file.write_text("task: another")
    seen.append(fingerprint_of_tasks(str(folder), [str(file)]))
    assert seen[0] == fingerprint_of_tasks(None, ["mmlu"]) == ""
    assert len(set(seen)) == 5
