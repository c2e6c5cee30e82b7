"""Run by a test: kills a conversion before each of its steps in turn, goes on with --resume, and compares.

A step is whatever changes the disk: a file that is opened, a folder that is made, a rename, a removal.
"""

import os
import signal
import sys
from itertools import count
from pathlib import Path

from small_conversion import convert_small, tree

from harness.errors import ConfigError

_STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate")


def main(root: Path) -> None:
    """Prints how many steps there are."""
    convert_small(root / "whole")
    expected = tree(root / "whole")
    for step in count(1):
        target = root / f"step-{step}" / "target"
        target.parent.mkdir()
        if not _is_killed(target, step):
            print(step - 1)
            return
        _go_on(target, step)
        if tree(target) != expected:
            sys.exit(f"killed before step {step}: the output differs")
        if list(target.parent.iterdir()) != [target]:
            sys.exit(f"killed before step {step}: {list(target.parent.iterdir())} is left")


def _is_killed(target: Path, step: int) -> bool:
    """Convert in a process of its own that ends itself before the step; False where it has fewer steps."""
    child = os.fork()
    if child == 0:
        _kill_before(target, step)
        convert_small(target)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _kill_before(target: Path, step: int) -> None:
    steps = count(1)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event in _STEPS and str(arguments[0]).startswith(str(target)) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def _go_on(target: Path, step: int) -> None:
    try:
        convert_small(target, resume=True)
    except ConfigError as error:  # only the empty folder beside the published target was left
        if "exists already" not in str(error):
            sys.exit(f"killed before step {step}: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
