"""lm-eval's tasks by name, each loaded once, whether it is asked for alone, in a group, or in several."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from lm_eval.tasks import TaskManager

from harness.errors import ConfigError, nearest
from harness.evaluation.spec import TaskOptions
from harness.evaluation.task_names import manager_of


class MergingTaskManager(TaskManager):  # type: ignore[misc]
    """lm-eval's own manager refuses a task that is in two of the things asked for; this one asks it once."""

    def load(self, task_list: Any) -> Any:
        """The tasks and groups of every name, as lm-eval's own manager returns them.

        ConfigError names what cannot be loaded, runs code that a model wrote, or is not the same in two groups.
        """
        merged: dict[str, dict[str, Any]] = {"tasks": {}, "groups": {}, "group_map": {}}
        problems = []
        for name in task_list:
            try:
                loaded = super().load(name)
            except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
                reason = " ".join(str(error).split())
                problems.append(f"tasks: {name} cannot be loaded ({type(error).__name__}: {reason})")
                continue
            problems += _not_alike(name, merged["tasks"], loaded["tasks"])
            for part, found in loaded.items():
                merged[part] = {**found, **merged[part]}
        problems += [
            f"tasks: {name} {reason}" for name, task in merged["tasks"].items() for reason in _not_carried_out(task)
        ]
        if problems:
            raise ConfigError(problems)
        return merged


@cache
def open_tasks(options: TaskOptions) -> tuple[MergingTaskManager, tuple[str, ...]]:
    """A manager that knows the tasks asked for, and their names, patterns such as `mmlu_*` matched, without repeats.

    ConfigError names all that are unknown.
    """
    manager = manager_of(MergingTaskManager, options)
    names: list[str] = []
    problems = []
    for asked in options.tasks:
        found = [asked] if Path(asked).is_file() else manager.match_tasks([asked])
        names += found
        if not found:
            problems.append(f"tasks: unknown task {asked!r}; {nearest(asked, manager.all_tasks)}")
    if problems:
        raise ConfigError(problems)
    return manager, tuple(dict.fromkeys(names))


def _not_alike(name: str, known: dict[str, Any], loaded: dict[str, Any]) -> list[str]:
    """The tasks of `name` that came before under another configuration."""
    return [
        f"tasks: {task} is not configured the same in {name} as in what was named before it; evaluate them apart"
        for task in known.keys() & loaded.keys()
        if known[task].dump_config() != loaded[task].dump_config()
    ]


def _not_carried_out(task: Any) -> Iterable[str]:
    """What a task needs that is not here."""
    if getattr(task, "UNSAFE_CODE", False):
        yield "runs code that the model writes; ask lm-eval itself, in a sandbox"
    if getattr(task, "MULTIMODAL", False):
        yield "shows pictures or sound to the model, which reads text alone"
