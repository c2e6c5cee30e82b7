"""Exit codes, one way everywhere: an end by signal N is 128 + N, as a shell has it."""

import signal

TERMINATED = 128 + signal.SIGTERM
ABORTED = 128 + signal.SIGABRT
KILLED = 128 + signal.SIGKILL
TIME_IS_UP = 124
"""The code of a job that saved because its time limit was near (script/shell/end.sh)."""


def as_in_a_shell(code: int) -> int:
    """Python's subprocess and torchrun write -N for an end by signal N."""
    return 128 - code if code < 0 else code
