"""The names of lm-eval's tasks: whether those that are asked for exist, found out before anything is launched."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.errors import nearest
from harness.evaluation.spec import TaskOptions

INSTALL_LINE = "pip install 'moe-harness[eval]' (or tools/setup.sh eval)"
_NAME = re.compile(rb"^(?:task|group):[ \t]*[\"']?([^\s\"'#\[]+)", re.MULTILINE)


def missing_lm_eval() -> str | None:
    """What to say where lm-eval is not installed, None where it is."""
    if find_spec("lm_eval") is not None:
        return None
    return f"--tasks: lm-eval is not installed; {INSTALL_LINE}"


def problems_of_tasks(options: TaskOptions) -> list[str]:
    """All that keeps these tasks from being asked.

    Names of tasks and groups are searched for in the text of lm-eval's files, 0.3 s; only for those not found there
    does lm-eval build its index of 14,000 tasks (3 to 10 s): it knows tags, and what is near a wrong name.
    """
    if missing := missing_lm_eval():
        return [missing]
    if options.include_path is not None and not Path(options.include_path).is_dir():
        return [f"--include-path {options.include_path}: no such folder; give the folder of your tasks' YAML files"]
    if not options.tasks:
        return ["--tasks: no task is named"]
    wanted = {name for name in options.tasks if not is_task_file(name)}
    if not wanted or wanted <= _named_in(task_folders(options)):
        return []
    from lm_eval.tasks import TaskManager

    known = TaskManager(include_path=options.include_path)
    return [
        f"--tasks: unknown task {name!r}; {nearest(name, known.all_tasks)}"
        for name in options.tasks
        if name in wanted and not known.match_tasks([name])
    ]


def task_folders(options: TaskOptions) -> list[Path]:
    """Where the YAML files of tasks lie: lm-eval's own, and the user's."""
    spec = find_spec("lm_eval")
    own = [Path(folder) / "tasks" for folder in (spec.submodule_search_locations or () if spec else ())]
    return own if options.include_path is None else [*own, Path(options.include_path)]


def members(entry: Any) -> Collection[str]:
    """The names of what a group or a tag of lm-eval's index holds; nothing for a task."""
    if entry.cfg is None:
        tags: Collection[str] = entry.tags
        return tags
    listed = entry.cfg.get("task")
    if not isinstance(listed, list):
        return ()
    return [item if isinstance(item, str) else str(item.get("task", item.get("group"))) for item in listed]


def reached(names: Iterable[str], index: Mapping[str, Any]) -> set[str]:
    """These names of lm-eval's index, and all that groups and tags among them hold, at any depth."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        if (name := waiting.pop()) not in seen:
            seen.add(name)
            waiting += members(index[name]) if name in index else ()
    return seen


def manager_of[M](kind: Callable[..., M], options: TaskOptions) -> M:
    """A manager of lm-eval's, of its own class or of one derived from it, that knows the tasks asked for.

    Where all of them lie in the user's folder, members of groups among them, it knows that folder alone: the index of
    lm-eval's own 14,000 tasks takes seconds.
    """
    if options.include_path is not None:
        local: Any = kind(include_path=options.include_path, include_defaults=False)
        if reached(options.tasks, local.task_index) <= local.task_index.keys():
            found: M = local
            return found
    return kind(include_path=options.include_path)


def without_members(options: TaskOptions) -> tuple[str, ...]:
    """The tasks asked for, without those that a group among them holds: lm-eval's own command refuses them twice."""
    from lm_eval.tasks import TaskManager

    index = manager_of(TaskManager, options).task_index
    names = tuple(dict.fromkeys(options.tasks))
    held = {name: reached([name], index) - {name} for name in names}
    return tuple(name for name in names if not any(name in held[other] for other in names))


def is_task_file(name: str) -> bool:
    """A task may be the path of its YAML file."""
    return name.endswith((".yaml", ".yml")) and Path(name).is_file()


def _named_in(folders: Iterable[Path]) -> set[str]:
    """The names of tasks and groups in the text of every YAML file, without reading it as YAML."""
    files = (file for folder in folders for file in folder.rglob("*.yaml"))
    return {name.decode(errors="replace") for file in files for name in _NAME.findall(file.read_bytes())}
