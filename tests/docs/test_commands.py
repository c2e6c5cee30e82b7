"""Every command in the documentation runs, and says what its page says; those for Slurm in tests/slurm/test_train.py.

Of `make` only the recipes are printed: it would call these tests.
"""

from pathlib import Path

import pytest
from doc_pages import blocks, pages, read
from page_session import copy_checkout, play, unsaid, users_environ

ON_SLURM = {"docs/slurm.md", "docs/slurm-jobs.md"}
SLOW = {
    "README.md",
    "docs/conversion.md",
    "docs/development.md",
    "docs/evaluation.md",
    "docs/laptop.md",
    "docs/results.md",
    "docs/sweeps.md",
}
PAGES = [
    pytest.param(page, id=str(page), marks=[pytest.mark.slow] if str(page) in SLOW else [])
    for page in pages()
    if str(page) not in ON_SLURM and any(block.language for block in blocks(read(page)))
]


@pytest.mark.parametrize("page", PAGES)
def test_page(page: Path, tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "moe-harness")
    play(page, checkout, users_environ(checkout) | {"MAKEFLAGS": "n"})


def test_a_missing_line_is_seen() -> None:
    assert list(unsaid("a\nc …", "a\nb\nc d\n")) == []
    assert list(unsaid("b\na", "a\nb\n")) == ["a"]
