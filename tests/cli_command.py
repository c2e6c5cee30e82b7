"""Run the real command as a user does: a process of its own, its words, its exit code."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CODE = "from harness.cli.main import main; main()"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines marked as errors."""
        return [line.removeprefix("error: ") for line in self.err.splitlines() if line.startswith("error: ")]


def start_moe_harness(
    *words: str, here: Path, environ: Mapping[str, str] | None = None, output: IO[str] | None = None
) -> "subprocess.Popen[str]":
    """`moe-harness WORDS` as a process to go on beside; its stdout and stderr are pipes, or go to `output`."""
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *words],
        cwd=here,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.PIPE,
        stderr=output or subprocess.PIPE,
        text=True,
    )


def moe_harness(*words: str, here: Path, environ: Mapping[str, str] | None = None, timeout_s: float = 120) -> Answer:
    """`moe-harness WORDS` in a folder; `environ` is added to this process's environment."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words],
        cwd=here,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=timeout_s,
    )
    return Answer(code=done.returncode, out=done.stdout, err=done.stderr)
