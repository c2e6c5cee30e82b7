"""Every command in the documentation runs, and says what its page says.

A page is one session: its `bash` blocks run one after the other in a copy of the checkout, in which `.venv` is this
interpreter's environment. A `text` block after a `bash` block holds lines of its output, where `…` stands for anything.
`<!-- exit 2 -->` right above a block is the exit code it must have. Of `make` only the recipes are printed: it would
call these tests.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from doc_pages import REPOSITORY, Block, blocks, pages, read

SLOW = {"README.md", "docs/conversion.md", "docs/development.md", "docs/laptop.md", "docs/results.md"}
PAGES = [
    pytest.param(page, id=str(page), marks=[pytest.mark.slow] if str(page) in SLOW else [])
    for page in pages()
    if any(block.language for block in blocks(read(page)))
]
EXTRAS = ("base", "convert", "engine", "engine,tokenizers", "dev")
SBATCH = "#!/bin/sh\ncat >/dev/null\necho 4711\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project, set up with this interpreter's environment."""
    copy = tmp_path / "moe-harness"
    shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "build", "dist"))
    environment = copy / ".venv"
    environment.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith(".installed-"):
            (environment / entry.name).symlink_to(entry)
    installed = subprocess.check_output("cat pyproject.toml constraints.txt | cksum", shell=True, cwd=copy)
    for extra in EXTRAS:
        (environment / f".installed-{extra}").write_bytes(installed)
    return copy


@pytest.fixture
def environ(checkout: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has set the project up, on a machine with a Slurm that takes everything."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sbatch").write_text(SBATCH)
    (programs / "sbatch").chmod(0o755)
    path = os.pathsep.join((str(programs), str(checkout / ".venv/bin"), os.environ["PATH"]))
    return {**os.environ, "PATH": path, "MAKEFLAGS": "n"}


@pytest.mark.parametrize("page", PAGES)
def test_page(page: Path, checkout: Path, environ: Mapping[str, str]) -> None:
    output: str | None = None
    for block in blocks(read(page)):
        where = f"{page}:{block.line}"
        if block.language == "bash":
            output = run(block, where, checkout, environ)
        elif block.language == "text":
            assert output is not None, f"{where}: a text block is the output of a bash block before it"
            missing = next(unsaid(block.text, output), None)
            assert missing is None, f"{where}: the output has no line {missing!r} in this place:\n{output}"
        else:
            assert not block.language, f"{where}: a block is bash (runs), text (its output), or has no language"


def run(block: Block, where: str, checkout: Path, environ: Mapping[str, str]) -> str:
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


def test_a_missing_line_is_seen() -> None:
    assert list(unsaid("a\nc …", "a\nb\nc d\n")) == []
    assert list(unsaid("b\na", "a\nb\n")) == ["a"]
