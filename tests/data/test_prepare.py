"""Text to token files: what comes out, and every way the input can be wrong."""

import json
import resource
from array import array
from pathlib import Path

import pytest

from harness.data.indexed import IndexedReader
from harness.data.prepare import prepare
from harness.errors import ConfigError, EnvironmentProblem


def _write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _problems(files: list[Path], output: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        prepare(files, output)
    assert not output.parent.exists() or not list(output.parent.glob(f"*{output.name}*")), "nothing may be left"
    return caught.value.problems


def test_documents_are_files_and_json_lines_in_order(tmp_path: Path) -> None:
    text = _write(tmp_path / "a.txt", "Grüße\r\n\n")
    lines = _write(tmp_path / "b.jsonl", '{"text": "one"}\n\n{"id": 1, "text": "zw\\u00f6lf"}\n{"text": ""}')
    done = prepare([text, lines], tmp_path / "out" / "corpus")
    assert done.prefix == tmp_path / "out" / "corpus_text_document"
    expected = ["Grüße\r\n\n".encode(), b"one", "zwölf".encode()]
    assert [document.tolist() for document in IndexedReader.open(done.prefix)] == [[*t, 256] for t in expected]
    size = sum(map(len, expected))
    assert (done.documents, done.tokens, done.text_bytes, done.empty_documents) == (3, size + 3, size, 1)


def test_all_problems_of_the_files_come_at_once(tmp_path: Path) -> None:
    empty = _write(tmp_path / "empty.txt", "")
    missing = tmp_path / "missing.txt"
    assert _problems([missing, tmp_path, empty], tmp_path / "out" / "c") == (
        f"{missing}: No such file or directory",
        f"{tmp_path}: is a folder; name the files in it, e.g. {tmp_path}/*.txt",
        f"{empty}: is empty",
    )


def test_all_problems_of_the_content_come_at_once(tmp_path: Path) -> None:
    latin = _write(tmp_path / "latin.txt", b"caf\xe9 noir")
    rows = [
        b'{"text": "fine"}',
        b'{"txt": "no key"}',
        b'{"text": 5}',
        b"[1]",
        b"{",
        b'{"text": "\xff"}',
        b'{"text": "\\ud800"}',
    ]
    lines = _write(tmp_path / "l.jsonl", b"\n".join(rows))
    wanted = 'expected an object whose "text" is a string; found'
    assert _problems([latin, lines], tmp_path / "out" / "c") == (
        f"{latin}: not UTF-8: byte 0xe9 at offset 3",
        f'{lines}:2: {wanted} an object with "txt"',
        f'{lines}:3: {wanted} an object with "text" of type int',
        f"{lines}:4: {wanted} list",
        f"{lines}:5: not JSON: Expecting property name enclosed in double quotes at character 2",
        f"{lines}:6: not UTF-8: byte 0xff at offset {len(b''.join(rows[:5])) + 5 + 10}",
        f"{lines}:7: the text holds half of a surrogate pair at character 0",
    )


def test_a_thousand_bad_lines_are_summed_up(tmp_path: Path) -> None:
    problems = _problems([_write(tmp_path / "l.jsonl", "{}\n" * 1000)], tmp_path / "out" / "c")
    assert len(problems) == 21
    assert problems[-1] == "… and 980 more like these"


def test_input_without_a_document(tmp_path: Path) -> None:
    lines = _write(tmp_path / "l.jsonl", '\n{"text": ""}\n')
    assert _problems([lines], tmp_path / "out" / "c") == (f"{lines}: no document in it",)
    assert _problems([], tmp_path / "out" / "c")[0].startswith("no input: give one or more text files")


def test_existing_output_is_kept_unless_overwritten(tmp_path: Path) -> None:
    first, second = _write(tmp_path / "1.txt", "first"), _write(tmp_path / "2.txt", "second, longer")
    prefix = prepare([first], tmp_path / "c").prefix
    with pytest.raises(ConfigError) as caught:
        prepare([second], tmp_path / "c")
    assert caught.value.problems == (
        f"{prefix}.bin: exists already; choose another prefix, or overwrite it",
        f"{prefix}.idx: exists already; choose another prefix, or overwrite it",
    )
    assert bytes(IndexedReader.open(prefix)[0].tolist()[:-1]) == b"first"
    prepare([second], tmp_path / "c", overwrite=True)
    assert bytes(IndexedReader.open(prefix)[0].tolist()[:-1]) == b"second, longer"


def test_bad_input_leaves_the_old_output(tmp_path: Path) -> None:
    good, bad = _write(tmp_path / "good.txt", "good"), _write(tmp_path / "bad.txt", b"\xff")
    prefix = prepare([good], tmp_path / "c").prefix
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ConfigError):
        prepare([good, bad], tmp_path / "c", overwrite=True)
    assert sorted(tmp_path.iterdir()) == before
    assert len(IndexedReader.open(prefix)) == 1


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    text = _write(tmp_path / "a.txt", "a")
    with pytest.raises(EnvironmentProblem) as caught:
        prepare([text], text / "corpus")
    assert str(caught.value) == (
        f"{text}/corpus_text_document.bin: cannot be written: File exists; choose a place with room for it"
    )


@pytest.mark.parametrize("limit", [1 << 10, (1 << 17) + (1 << 10)], ids=["tokens", "index"])
def test_disk_that_fills_up_leaves_nothing(tmp_path: Path, limit: int) -> None:
    """A limit on file sizes stands in for the full disk: the first stops the tokens, the second the larger index."""
    rows = "".join(json.dumps({"text": "abc"}) + "\n" for _ in range(1 << 14))
    lines = _write(tmp_path / "l.jsonl", rows)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(EnvironmentProblem, match="cannot be written: File too large; choose a place"):
            prepare([lines], tmp_path / "out" / "c")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_data_set_is_refused(tmp_path: Path) -> None:
    prefix = prepare([_write(tmp_path / "a.txt", "abc")], tmp_path / "c").prefix
    tokens, index = Path(f"{prefix}.bin"), Path(f"{prefix}.idx")
    tokens.write_bytes(tokens.read_bytes()[:-2])
    with pytest.raises(ConfigError, match=r"holds 6 bytes, its index says 8: prepare it again"):
        IndexedReader.open(prefix)
    whole = index.read_bytes()
    index.write_bytes(whole[:-1])
    with pytest.raises(ConfigError, match=r"ends before the last of its 1 documents"):
        IndexedReader.open(prefix)
    index.write_bytes(b"x" + whole[1:])
    with pytest.raises(ConfigError, match=r"wrong first bytes"):
        IndexedReader.open(prefix)
    tokens.unlink()
    with pytest.raises(ConfigError, match=r"cannot read the data set: No such file"):
        IndexedReader.open(prefix)


def test_token_files_are_little_endian_u16(tmp_path: Path) -> None:
    prefix = prepare([_write(tmp_path / "a.txt", "ab")], tmp_path / "c").prefix
    assert Path(f"{prefix}.bin").read_bytes() == b"a\0b\0\0\1"
    assert array("H", Path(f"{prefix}.bin").read_bytes()).tolist() == [97, 98, 256]
