"""Documents out of text files: a .jsonl holds one a line, any other file is one document."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.data.indexed import MAX_DOCUMENT_TOKENS

_PROBLEMS_SHOWN = 20


def problems_of(files: Sequence[Path]) -> list[str]:
    """What can be said against the files without reading them, a line each."""
    if not files:
        return ['no input: give one or more text files (.txt, or .jsonl with a "text" a line)']
    return [problem for file in files if (problem := _problem_of(file))]


def documents(file: Path, problems: list[str]) -> Iterator[bytes]:
    """The file's documents as valid UTF-8; what is wrong with any is appended to `problems`, and it is left out."""
    try:
        if file.suffix == ".jsonl":
            yield from _json_lines(file, problems)
        else:
            text = file.read_bytes()
            if _decoded(text, str(file), 0, problems) is not None:
                yield text
    except OSError as error:
        problems.append(f"{file}: cannot read: {error.strerror}")


def batches(texts: Iterable[bytes], size_bytes: int) -> Iterator[list[bytes]]:
    """Documents in groups of some `size_bytes`: enough for a tokenizer to work on in parallel, little to hold."""
    batch: list[bytes] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= size_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def shortened(problems: list[str]) -> list[str]:
    """The first problems, and how many more there are."""
    hidden = len(problems) - _PROBLEMS_SHOWN
    return problems if hidden <= 0 else [*problems[:_PROBLEMS_SHOWN], f"… and {hidden} more like these"]


def _problem_of(file: Path) -> str | None:
    """What is wrong with one input file at first sight."""
    try:
        size = file.stat().st_size
    except OSError as error:
        return f"{file}: {error.strerror or error}"
    if file.is_dir():
        return f"{file}: is a folder; name the files in it, e.g. {file}/*.txt"
    if size == 0 and file.is_file():
        return f"{file}: is empty"
    if size >= MAX_DOCUMENT_TOKENS and file.suffix != ".jsonl":
        return (
            f"{file}: has {size} bytes, and a text file is one document, for which Megatron's index allows "
            f"{MAX_DOCUMENT_TOKENS} tokens: split it, or make it a .jsonl"
        )
    return None


def _json_lines(file: Path, problems: list[str]) -> Iterator[bytes]:
    """The `text` of each line's object; blank lines are skipped."""
    offset, name = 0, str(file)
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{name}:{number}"
            content = _decoded(line, where, offset, problems)
            if content and not content.isspace():
                text = _text_of(content, where, problems)
                if text is not None:
                    yield text
            offset += len(line)


def _text_of(line: str, where: str, problems: list[str]) -> bytes | None:
    """The text of one line of a .jsonl, or None and a problem."""
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        problems.append(f"{where}: not JSON: {error.msg} at character {error.pos}")
        return None
    except RecursionError:
        problems.append(f"{where}: not JSON that can be read: nested too deeply")
        return None
    text = entry.get("text") if isinstance(entry, dict) else None
    if not isinstance(text, str):
        found = f"an object with {_keys(entry)}" if isinstance(entry, dict) else type(entry).__name__
        problems.append(f'{where}: expected an object whose "text" is a string; found {found}')
        return None
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        problems.append(f"{where}: the text holds half of a surrogate pair at character {error.start}")
        return None


def _keys(entry: dict[str, object]) -> str:
    """The keys of an object without a proper text."""
    if "text" in entry:
        return f'"text" of type {type(entry["text"]).__name__}'
    return ", ".join(json.dumps(key) for key in list(entry)[:6]) or "no keys"


def _decoded(text: bytes, where: str, offset: int, problems: list[str]) -> str | None:
    """The bytes as text, or None and a problem; `offset` is where in the file they start."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        problems.append(f"{where}: not UTF-8: byte 0x{text[error.start]:02x} at offset {offset + error.start}")
        return None
