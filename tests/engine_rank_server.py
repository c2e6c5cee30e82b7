"""A process that imports torch and Megatron once, and forks the ranks of many jobs from there.

Reads one request a line: {"task": …, "argv": […], "world_size": …, "environ": {…}, "log": …}. Answers each with a
line of the ranks' exit codes. A rank that has not ended after `TIME_LIMIT_S` is killed.
"""

import json
import multiprocessing
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

TIME_LIMIT_S = 100.0


def main() -> None:
    """Serve until the standard input ends."""
    tasks = load_tasks()
    for line in sys.stdin:
        request = json.loads(line)
        task = getattr(tasks, request.pop("task"))
        print(json.dumps(run_job(task, **request)), flush=True)


def load_tasks() -> ModuleType:
    """The tasks, with torch and Megatron: not at the top, for the saving of a checkpoint imports this module again."""
    from harness.engine.entry import install_device

    install_device()

    import engine_rank_tasks

    return engine_rank_tasks


def run_job(
    task: Callable[[], None], *, argv: list[str], world_size: int, log: str, environ: dict[str, str]
) -> list[int]:
    """Fork the ranks of one job, wait for them; their exit codes by rank. All of them write to the file `log`."""
    environ = {**environ, "WORLD_SIZE": str(world_size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [fork_rank(rank, environ, task, argv, log) for rank in range(world_size)]
    deadline = time.monotonic() + TIME_LIMIT_S
    return [wait_for(rank, deadline) for rank in ranks]


def fork_rank(rank: int, environ: dict[str, str], task: Callable[[], None], argv: list[str], log: str) -> int:
    """The process id of a forked rank, which runs the task and never returns here."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        become_rank(rank, environ, argv, log)
        task()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for child in multiprocessing.active_children():  # saving leaves a manager behind, which os._exit would orphan
            child.kill()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def become_rank(rank: int, environ: dict[str, str], argv: list[str], log: str) -> None:
    """What torchrun sets for a rank."""
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environ, RANK=str(rank), LOCAL_RANK=str(rank))
    sys.argv = ["harness.engine.pretrain", *argv]


def wait_for(process: int, deadline: float) -> int:
    """A rank's exit code, -9 if it had to be killed."""
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
