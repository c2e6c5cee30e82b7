"""Names of tasks are looked up before anything is launched."""

import sys
from pathlib import Path

import pytest

from harness.evaluation import task_names
from harness.evaluation.spec import TaskOptions
from harness.evaluation.task_names import missing_lm_eval, problems_of_tasks, without_members


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tasks, one with a tag, and a group of one of them."""
    (tmp_path / "one.yaml").write_text("task: my_first\ntag: my_tag\noutput_type: multiple_choice\n")
    (tmp_path / "two.yaml").write_text('task: "my_second"\noutput_type: multiple_choice\n')
    (tmp_path / "all.yaml").write_text("group: my_group\ntask: [my_first]\n")
    return tmp_path


def asked(*names: str, folder: Path | None = None) -> TaskOptions:
    """The options for these tasks."""
    return TaskOptions(tasks=names, include_path=None if folder is None else str(folder))


def test_known_names_need_no_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval's own tasks and groups, and the user's, are found in the text of their files."""
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    names = ("my_first", "my_second", "my_group", "mmlu", "hellaswag", "arc_easy", "wikitext")
    assert problems_of_tasks(asked(*names, folder=folder)) == []
    assert problems_of_tasks(asked(str(folder / "one.yaml"))) == []


@pytest.mark.slow
def test_unknown_names_are_told_at_once(folder: Path) -> None:
    """Each with what is near; tags and patterns are known too."""
    first, second = problems_of_tasks(asked("my_tag", "my_frist", "hellaswga", "mmlu_*", folder=folder))
    assert first.startswith("--tasks: unknown task 'my_frist'; did you mean my_first")
    assert second.startswith("--tasks: unknown task 'hellaswga'; did you mean hellaswag")


def test_no_folder_and_no_task(tmp_path: Path) -> None:
    """A folder that is not there, and nothing to ask."""
    (problem,) = problems_of_tasks(asked("mmlu", folder=tmp_path / "none"))
    assert problem == f"--include-path {tmp_path}/none: no such folder; give the folder of your tasks' YAML files"
    assert problems_of_tasks(asked()) == ["--tasks: no task is named"]


def test_missing_lm_eval_is_told_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else is looked for."""
    assert missing_lm_eval() is None
    monkeypatch.setattr(task_names, "find_spec", lambda _name: None)
    line = "--tasks: lm-eval is not installed; pip install 'moe-harness[eval]' (or tools/setup.sh eval)"
    assert problems_of_tasks(asked("mmlu")) == [line]


@pytest.mark.slow
def test_members_of_groups_are_left_out(folder: Path) -> None:
    """lm-eval's own command refuses a task that comes twice."""
    options = asked("my_first", "my_group", "my_second", "mmlu_stem", "mmlu", "my_second", folder=folder)
    assert without_members(options) == ("my_group", "my_second", "mmlu")
