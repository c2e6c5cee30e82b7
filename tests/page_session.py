"""A page of the documentation as a session at a terminal: its commands run, and say what the page says.

A page is one session: its `bash` blocks run one after the other in a copy of the checkout. A `text` block after a
`bash` block holds lines of its output, where `…` stands for anything. `<!-- exit 2 -->` right above a block is the
exit code it must have.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from doc_pages import REPOSITORY, Block, blocks, read

_EXTRAS = ("base", "convert", "engine", "engine,tokenizers", "eval", "dev")


def copy_checkout(folder: Path) -> Path:
    """A copy of the project, set up with this interpreter's environment as `.venv`; the folder is made."""
    made_here = {str(REPOSITORY): {"runs", "build", "dist"}}
    hidden = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(REPOSITORY, folder, ignore=lambda at, names: hidden(at, names) | made_here.get(at, set()))
    environment = folder / ".venv"
    environment.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith(".installed-"):
            (environment / entry.name).symlink_to(entry)
    installed = subprocess.check_output("cat pyproject.toml constraints.txt | cksum", shell=True, cwd=folder)
    for extra in _EXTRAS:
        (environment / f".installed-{extra}").write_bytes(installed)
    return folder


def users_environ(checkout: Path) -> dict[str, str]:
    """The environment of a user who has set the project up and put its commands on PATH.

    pip changes nothing there: what `.venv` links to is the environment that runs these tests.
    """
    on_path = os.pathsep.join((str(checkout / ".venv/bin"), os.environ["PATH"]))
    return {**os.environ, "PATH": on_path, "PIP_DRY_RUN": "1"}


def play(page: Path, checkout: Path, environ: Mapping[str, str]) -> None:
    """Run a page's session; AssertionError names the line that does not hold."""
    output: str | None = None
    for block in blocks(read(page)):
        where = f"{page}:{block.line}"
        if block.language == "bash":
            output = _run(block, where, checkout, environ)
        elif block.language == "text":
            assert output is not None, f"{where}: a text block is the output of a bash block before it"
            missing = next(unsaid(block.text, output), None)
            assert missing is None, f"{where}: the output has no line {missing!r} in this place:\n{output}"
        else:
            assert not block.language, f"{where}: a block is bash (runs), text (its output), or has no language"


def _run(block: Block, where: str, checkout: Path, environ: Mapping[str, str]) -> str:
    """Run a block as one script that stops at its first failure; its output, stdout and stderr together."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=checkout,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    expected = int(block.comment.removeprefix("exit ")) if block.comment.startswith("exit ") else 0
    assert done.returncode == expected, f"{where}: exit code {done.returncode}, not {expected}:\n{done.stdout}"
    return done.stdout


def unsaid(expected: str, output: str) -> Iterator[str]:
    """The expected lines that the output does not have, each looked for after the one before."""
    lines = iter(output.splitlines())
    for line in expected.splitlines():
        pattern = re.compile(".*".join(map(re.escape, line.rstrip().split("…"))) + r"\s*")
        if not any(pattern.fullmatch(said) for said in lines):
            yield line
