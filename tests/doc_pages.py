"""The documentation, taken apart: its pages, their fenced blocks, headings and links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
_NOT_OURS = re.compile(r"\..*|__pycache__|build|dist|runs")
_FENCE = re.compile(r"^```(?P<language>\w*)$")
_COMMENT = re.compile(r"^<!-- (?P<text>.*) -->$")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block; `line` is that of its first line, `comment` the HTML comment right above its fence."""

    language: str
    text: str
    line: int
    comment: str


def pages() -> list[Path]:
    """Every Markdown file of the project, relative to it."""
    found: list[Path] = []
    for folder, subfolders, files in REPOSITORY.walk():
        subfolders[:] = [name for name in subfolders if not _NOT_OURS.fullmatch(name)]
        found += [(folder / name).relative_to(REPOSITORY) for name in files if name.endswith(".md")]
    return sorted(found)


def read(page: Path) -> str:
    """A page's text."""
    return (REPOSITORY / page).read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = text.splitlines()
    start: int | None = None
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if start is None:
            start = number
            continue
        opening = _FENCE.match(lines[start])
        comment = _COMMENT.match(lines[start - 1]) if start else None
        yield Block(
            language=opening["language"] if opening else "",
            text="\n".join(lines[start + 1 : number]),
            line=start + 2,
            comment=comment["text"] if comment else "",
        )
        start = None
    if start is not None:
        raise ValueError(f"line {start + 1}: this fence is never closed")


def prose(text: str) -> str:
    """A page without its fenced blocks and code spans, in which nothing is a link or a heading."""
    return re.sub(r"`[^`\n]*`", "", without_blocks(text))


def without_blocks(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the rows of the first table under a heading, without its head; code marks are taken off."""
    section = without_blocks(text).split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [cells(row) for row in rows[2:]]


def cells(row: str) -> list[str]:
    """`| a | b \\| c |` → `["a", "b | c"]`."""
    parts = re.split(r"(?<!\\)\|", row.strip().strip("|"))
    return [part.strip().replace("\\|", "|").strip("`") for part in parts]


def row(*texts: str) -> str:
    """The cells of one row as a page writes them."""
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"
