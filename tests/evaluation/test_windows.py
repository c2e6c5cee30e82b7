"""Validation data of every kind, cut into windows: that each token is predicted once, and what is said of bad files."""

import json
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from validation_files import write_dump, write_npy

from harness.data.prepare import prepare
from harness.data.sample import HELD_OUT
from harness.errors import ConfigError
from harness.evaluation.data_files import data_format_of
from harness.evaluation.data_problems import problems_of_data
from harness.evaluation.spec import DataFormat, ValidationData
from harness.evaluation.windows import Windows, read_windows

VOCAB = 257
BYTE_PROBLEM = "the byte-level tokenizer: has 257 tokens, the model's vocabulary 256"


def _read(*files: Path | str, format: DataFormat = "text", **asked: int) -> Windows:
    asked = {"vocab_size": VOCAB, "seq_len": 8, "max_tokens": 10**9, **asked}
    return read_windows(ValidationData(files=tuple(map(str, files)), format=format), **asked)


def _problems(*files: Path | str, format: DataFormat = "text", **asked: int) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        _read(*files, format=format, **asked)
    return caught.value.problems


def _at_first_sight(*files: Path | str, format: DataFormat = "text", tokenizer: str | None = None) -> list[str]:
    data = ValidationData(files=tuple(map(str, files)), format=format, tokenizer=tokenizer)
    return problems_of_data(data, VOCAB, 8)


def _stream(windows: Windows) -> list[int]:
    """The first token, then all that is predicted."""
    return [int(windows.tokens[0, 0]), *windows.targets[windows.real].tolist()]


@given(
    st.lists(st.integers(0, VOCAB - 1), min_size=2, max_size=70),
    st.integers(1, 12),
    st.integers(1, 80),
    st.integers(1, 69),
)
def test_every_token_but_the_first_is_predicted_exactly_once(
    tokens: list[int], seq_len: int, max_tokens: int, first_part: int
) -> None:
    with TemporaryDirectory() as folder:
        parts = [part for part in (tokens[:first_part], tokens[first_part:]) if part]
        files = [write_npy(Path(folder) / f"{i}.npy", np.array(part, np.uint16)) for i, part in enumerate(parts)]
        windows = _read(*files, format="npy", seq_len=seq_len, max_tokens=max_tokens)
    evaluated = tokens[: max_tokens + 1]
    assert _stream(windows) == evaluated
    assert windows.truncated == (len(tokens) > max_tokens + 1)
    assert windows.sha256 == sha256(np.array(evaluated, "<i4").tobytes()).hexdigest()
    assert (windows.seq_len, windows.documents, windows.text_bytes) == (seq_len, None, None)
    assert windows.lengths.sum() == len(evaluated) - 1
    assert (windows.lengths[:-1] == seq_len).all()
    inputs, targets = windows.tokens[:, :-1], windows.targets
    assert (inputs[1:, 0] == targets[:-1, -1]).all(), "a window begins with the last token of the one before"
    assert (inputs[:, 1:][windows.real[:, 1:]] == targets[:, :-1][windows.real[:, 1:]]).all()
    assert not targets[~windows.real].any(), "padding is 0"


def test_text_is_documents_each_with_its_end(tmp_path: Path) -> None:
    text, lines = tmp_path / "a.txt", tmp_path / "b.jsonl"
    text.write_text("süß")
    lines.write_text('{"text": "one"}\n\n{"text": ""}\n{"text": "two"}\n')
    windows = _read(text, lines)
    stream = [*"süß".encode(), 256, *b"one", 256, *b"two", 256]
    assert (_stream(windows), windows.documents, windows.end_of_document) == (stream, 3, 256)
    assert windows.text_bytes is not None
    assert windows.text_bytes[windows.real].tolist() == [0 if token == 256 else 1 for token in stream[1:]]
    assert windows.rule.startswith(
        "documents are joined in order, each followed by its end of document (token 256); cut"
    )
    assert "windows of 8 tokens without overlap" in windows.rule


@pytest.mark.parametrize(("max_tokens", "documents"), [(3, 1), (4, 2), (6, 2), (7, 2), (8, 3)])
def test_documents_are_those_that_evaluated_tokens_are_from(tmp_path: Path, max_tokens: int, documents: int) -> None:
    lines = tmp_path / "b.jsonl"
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("one", "two", "three")))
    windows = _read(lines, max_tokens=max_tokens)
    assert (windows.lengths.sum(), windows.documents, windows.truncated) == (max_tokens, documents, True)


def test_what_lies_behind_the_last_token_is_not_read(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("enough text")
    bad.write_bytes(b"\xff")
    assert _read(good, bad, max_tokens=5).truncated
    assert _problems(good, bad) == (f"{bad}: not UTF-8: byte 0xff at offset 0",)


def test_megatrons_data_sets_give_the_tokens_of_the_text_they_are_of(tmp_path: Path) -> None:
    of_text = _read(HELD_OUT, seq_len=64)
    prefix = prepare([HELD_OUT], tmp_path / "chapter").prefix
    for named in (prefix, f"{prefix}.bin", f"{prefix}.idx"):
        assert data_format_of([str(named)]) == "indexed"
        of_tokens = _read(named, format="indexed", seq_len=64)
        assert (of_tokens.sha256, of_tokens.documents) == (of_text.sha256, 1)
        assert (of_tokens.text_bytes, of_tokens.end_of_document) == (None, None)
    assert of_text.documents == 1
    assert of_text.lengths.sum() == HELD_OUT.stat().st_size


@pytest.mark.parametrize("suffix", ["npy", "bin"])
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_shards_with_a_header_of_1024_bytes(tmp_path: Path, suffix: str, dtype: Any) -> None:
    tokens = np.arange(20, dtype=dtype) * 3
    of_gpt2 = write_dump(tmp_path / f"fineweb_val_000000.{suffix}", tokens)
    assert of_gpt2.stat().st_size == 1024 + tokens.nbytes
    assert data_format_of([str(of_gpt2)]) == "npy"
    assert _stream(_read(of_gpt2, format="npy")) == tokens.tolist()
    of_llama3 = write_dump(tmp_path / f"llama.{suffix}", tokens, magic=20240801, version=7)
    assert _stream(_read(of_llama3, format="npy")) == tokens.tolist()


@pytest.mark.parametrize("dtype", ["<u2", "<u4", ">u2", "<i8", "u1"])
def test_real_npy_of_any_whole_numbers(tmp_path: Path, dtype: str) -> None:
    file = write_npy(tmp_path / "a.npy", np.arange(20).astype(dtype))
    assert _stream(_read(file, format="npy")) == list(range(20))


def test_a_hugging_face_tokenizer_measures_bytes(tmp_path: Path) -> None:
    tokenizers: Any = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([HELD_OUT.read_text()], trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    data = ValidationData(files=(str(HELD_OUT),), tokenizer=str(tmp_path))
    windows = read_windows(data, vocab_size=300, seq_len=32, max_tokens=10**6)
    assert windows.text_bytes is not None
    first = len(tokenizer.decode([int(windows.tokens[0, 0])]))
    assert windows.text_bytes.sum() == HELD_OUT.stat().st_size - first
    assert windows.lengths.sum() < HELD_OUT.stat().st_size * 0.9
    problem = f"{tmp_path}: has 300 tokens, the model's vocabulary 257: give the folder of the tokenizer"
    assert problems_of_data(data, VOCAB, 8)[0].startswith(problem)
    with pytest.raises(ConfigError, match="has 300 tokens, the model's vocabulary 257"):
        read_windows(data, vocab_size=VOCAB, seq_len=8, max_tokens=9)


def test_ids_beyond_the_vocabulary_are_told_once_a_file(tmp_path: Path) -> None:
    good, bad = np.arange(10, dtype=np.uint16), np.array([1, 2, 300, 400], np.uint16)
    files = [write_npy(tmp_path / f"{i}.npy", tokens) for i, tokens in enumerate((good, bad, good, bad))]
    said = "token 2 (from 0) is 300; the model's vocabulary allows 0 to 256: these are tokens of another tokenizer"
    assert _problems(*files, format="npy") == (f"{files[1]}: {said}", f"{files[3]}: {said}")
    assert _stream(_read(*files, format="npy", max_tokens=11))[-2:] == [1, 2], "what is not evaluated may be anything"
    assert len(_problems(*files, format="npy", max_tokens=12)) == 1
    negative = write_npy(tmp_path / "n.npy", np.array([4, -1], np.int32))
    assert "token 1 (from 0) is -1; the model's" in _problems(negative, format="npy")[0]


def test_text_files_at_first_sight_and_in_the_job(tmp_path: Path) -> None:
    empty, missing = tmp_path / "empty.txt", tmp_path / "missing.txt"
    empty.touch()
    said = [
        f"{empty}: is empty",
        f"{missing}: No such file or directory",
        f"{tmp_path}: is a folder; name the files in it, e.g. {tmp_path}/*.txt",
    ]
    assert _at_first_sight(empty, missing, tmp_path) == said == list(_problems(empty, missing, tmp_path))
    assert _at_first_sight(HELD_OUT) == []
    assert _at_first_sight(HELD_OUT, tokenizer=str(missing))[0].startswith(f"{missing}: no such folder; give")
    assert [problem[: len(BYTE_PROBLEM)] for problem in _problems(HELD_OUT, vocab_size=256)] == [BYTE_PROBLEM]
    assert len(_problems(empty, missing, vocab_size=256)) == 3
    assert problems_of_data(ValidationData(files=(str(HELD_OUT),)), 256, 0)[0] == "windows of 0 tokens: give at least 1"
    lines = tmp_path / "none.jsonl"
    lines.write_text('{"text": ""}\n')
    assert _problems(lines, HELD_OUT) == (f"{lines}: no document in it",)


def test_token_files_at_first_sight_and_in_the_job(tmp_path: Path) -> None:
    floats = write_npy(tmp_path / "floats.npy", np.zeros(5, np.float32))
    square = write_npy(tmp_path / "square.npy", np.zeros((2, 3), np.uint16))
    objects = write_npy(tmp_path / "objects.npy", np.array([None, 1]))
    none = write_npy(tmp_path / "none.npy", np.zeros(0, np.uint16))
    cut = write_npy(tmp_path / "cut.npy", np.zeros(500, np.uint16))
    cut.write_bytes(cut.read_bytes()[:-2])
    bare = tmp_path / "bare.npy"
    bare.write_bytes(np.arange(2000, dtype=np.uint16).tobytes())
    short = write_dump(tmp_path / "short.bin", np.arange(9, dtype=np.uint16))
    short.write_bytes(short.read_bytes()[:-2])
    empty, missing = tmp_path / "empty.npy", tmp_path / "missing.npy"
    empty.touch()
    files = [floats, square, objects, none, cut, bare, short, empty, missing, tmp_path]
    said = _at_first_sight(*files, format="npy")
    wanted = "tokens are whole numbers (uint16 or uint32) in one dimension"
    assert said[:2] == [
        f"{floats}: holds float32 of shape (5,); {wanted}",
        f"{square}: holds uint16 of shape (2, 3); {wanted}",
    ]
    assert said[2].startswith(f"{objects}: cannot be read as .npy: ")
    assert said[3] == f"{none}: holds no token"
    assert said[4].startswith(f"{cut}: cannot be read as .npy: ")
    assert said[5].startswith(
        f"{bare}: is no .npy and has no header of 1,024 bytes with magic 20240520, version 1 or 20240801, version 7; "
        "found 65536, version 196610. Bare tokens become"
    )
    assert said[6:] == [
        f"{short}: holds 16 bytes behind its header, which says 9 tokens, 18 bytes in uint16 and 36 in uint32: "
        "copy it again",
        f"{empty}: is empty",
        f"{missing}: cannot read: No such file or directory",
        f"{tmp_path}: cannot read: Is a directory",
    ]
    assert list(_problems(*files, format="npy")) == said


def test_data_sets_at_first_sight_and_in_the_job(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("abc")
    prefix, missing = prepare([text], tmp_path / "c").prefix, tmp_path / "missing"
    Path(f"{prefix}.bin").write_bytes(b"")
    said = [
        f"{prefix}.bin: holds 0 bytes, its index says 8: prepare it again",
        f"{missing}.idx: cannot read the data set: No such file or directory",
    ]
    assert _at_first_sight(prefix, missing, format="indexed") == said
    assert list(_problems(prefix, missing, format="indexed")) == said


def test_one_token_predicts_nothing(tmp_path: Path) -> None:
    files = [write_npy(tmp_path / "one.npy", np.array([7], np.uint16))]
    said = f"{files[0]}: too short, 1 tokens: at least 2 are needed, one to predict the other by"
    assert _problems(*files, format="npy") == (said,)
    assert _at_first_sight(*files, format="npy") == [said]
    assert _stream(_read(*files, *files, format="npy")) == [7, 7]


def test_the_format_is_guessed_from_names(tmp_path: Path) -> None:
    assert data_format_of(["a.txt", "b.jsonl", "README"]) == "text"
    assert data_format_of(["a.npy", "fineweb.bin"]) == "npy"
    (tmp_path / "d.idx").touch()
    assert {data_format_of([f"{tmp_path}/d{end}"]) for end in ("", ".bin", ".idx")} == {"indexed"}
    (tmp_path / "d").touch()
    assert data_format_of([f"{tmp_path}/d"]) == "text", "what the user named is there"
    with pytest.raises(ConfigError, match=r"one kind, these are read a\.txt as text; b\.npy as npy: evaluate"):
        data_format_of(["a.txt", "b.npy"])
