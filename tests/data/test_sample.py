"""The shipped text: what it is, and that any number of processes may prepare it at once."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import harness.data.sample as sample
from harness.config.rules.data import SAMPLE
from harness.data.indexed import IndexedReader
from harness.data.sample import HELD_OUT, TRAINING_CHAPTERS, prepare_sample


def test_the_sample_is_twelve_chapters_of_plain_text() -> None:
    chapters = sorted((Path(sample.__file__).parent / "alice").glob("*.txt"))
    texts = [chapter.read_text(encoding="ascii") for chapter in chapters]
    assert len(texts) == 12
    assert all(text.startswith("Chapter ") and text.endswith("\n") for text in texts)
    assert 140_000 < sum(map(len, texts)) < 150_000
    assert "public domain" in (Path(sample.__file__).parent / "README.md").read_text(encoding="utf-8").lower()


def test_no_line_of_the_held_out_chapter_is_trained_on(tmp_path: Path) -> None:
    assert HELD_OUT.name == "12-alices-evidence.txt"
    prefix = tmp_path / SAMPLE
    prepare_sample(prefix)
    trained = b"\n".join(bytes(document.tolist()[:-1]) for document in IndexedReader.open(prefix))
    lines = [line for line in HELD_OUT.read_bytes().splitlines() if len(line) > 50]
    assert len(lines) > 100
    assert not [line for line in lines if line in trained]


def test_a_new_text_needs_a_new_folder() -> None:
    digest = sha256(b"".join(chapter.read_bytes() for chapter in TRAINING_CHAPTERS)).hexdigest()[:12]
    assert (SAMPLE, digest) == ("data/sample-2/alice_text_document", "a47f07200618"), (
        "change the number in SAMPLE with the text"
    )


def test_the_second_call_changes_nothing(tmp_path: Path) -> None:
    prefix = tmp_path / SAMPLE
    assert prepare_sample(prefix)
    before = {path: path.stat().st_mtime_ns for path in prefix.parent.iterdir()}
    assert not prepare_sample(prefix)
    assert {path: path.stat().st_mtime_ns for path in prefix.parent.iterdir()} == before
    assert len(IndexedReader.open(prefix)) == 11


def test_processes_at_once_agree_and_leave_one_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.data.sample import prepare_sample\n"
        "print('ready', flush=True); sys.stdin.readline(); prepare_sample(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / SAMPLE)]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(6)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    answers = [child.communicate() for child in children]
    assert [stderr for _, stderr in answers] == [""] * 6
    assert len(IndexedReader.open(tmp_path / SAMPLE)) == 11
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["sample-2"]
