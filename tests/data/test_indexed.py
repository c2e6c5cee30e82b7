"""Our token files against Megatron's own reader and writer."""

from array import array
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.indexed import IndexedReader, IndexedWriter, bin_path, idx_path, prefix_of, token_code
from harness.errors import ConfigError

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
megatron: Any = pytest.importorskip("megatron.core.datasets.indexed_dataset")

_VOCAB_SIZES = st.sampled_from([257, 65499, 65500, 129280])


@st.composite
def _corpora(draw: st.DrawFn) -> tuple[int, list[list[int]]]:
    """A vocabulary size and documents of its tokens."""
    vocab_size = draw(_VOCAB_SIZES)
    documents = st.lists(st.integers(0, vocab_size - 1), min_size=1, max_size=40)
    return vocab_size, draw(st.lists(documents, min_size=1, max_size=20))


def _write_ours(prefix: Path, vocab_size: int, documents: list[list[int]]) -> None:
    code = token_code(vocab_size)
    with IndexedWriter(prefix, code) as writer:
        for document in documents:
            writer.add(array(code, document))


def _write_megatrons(prefix: Path, vocab_size: int, documents: list[list[int]]) -> None:
    _write_sequences(prefix, megatron.DType.optimal_dtype(vocab_size), [[document] for document in documents])


def _write_sequences(prefix: Path, dtype: Any, documents: list[list[list[int]]]) -> None:
    """As Megatron writes documents of several sequences."""
    builder = megatron.IndexedDatasetBuilder(str(bin_path(prefix)), dtype=dtype)
    for document in documents:
        tokens = torch.tensor([token for sequence in document for token in sequence], dtype=torch.int64)
        builder.add_document(tokens, [len(sequence) for sequence in document])
    builder.finalize(str(idx_path(prefix)))


@settings(max_examples=60)
@given(_corpora())
def test_files_equal_megatrons_byte_for_byte_and_both_readers_agree(corpus: tuple[int, list[list[int]]]) -> None:
    vocab_size, documents = corpus
    with TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours", Path(folder) / "theirs"
        _write_ours(ours, vocab_size, documents)
        _write_megatrons(theirs, vocab_size, documents)
        assert bin_path(ours).read_bytes() == bin_path(theirs).read_bytes()
        assert idx_path(ours).read_bytes() == idx_path(theirs).read_bytes()
        read_by_megatron = megatron.IndexedDataset(str(ours))
        assert [read_by_megatron[i].tolist() for i in range(len(read_by_megatron))] == documents
        assert read_by_megatron.document_indices.tolist() == list(range(len(documents) + 1))
        assert [document.tolist() for document in IndexedReader.open(theirs)] == documents


@settings(max_examples=60)
@given(
    st.sampled_from(["uint8", "int8", "int16", "int32", "int64", "uint16"]),
    st.lists(st.lists(st.lists(st.integers(0, 127), max_size=5), max_size=4), min_size=1, max_size=8),
)
def test_documents_of_several_sequences_in_every_whole_type_are_read(
    dtype: str, documents: list[list[list[int]]]
) -> None:
    with TemporaryDirectory() as folder:
        prefix = Path(folder) / "theirs"
        _write_sequences(prefix, getattr(numpy, dtype), documents)
        joined = [[token for sequence in document for token in sequence] for document in documents]
        assert [document.tolist() for document in IndexedReader.open(prefix)] == joined


def _edited(prefix: Path, offset: int, value: bytes) -> Path:
    """The data set with a few bytes of its index changed."""
    index = bytearray(idx_path(prefix).read_bytes())
    index[offset : offset + len(value)] = value
    idx_path(prefix).write_bytes(index)
    return prefix


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (17, b"\x07", r"token type 7; readable are version 1, types 1 to 5 and 8 \(whole numbers\)"),
        (34, b"\xff\xff\xff\xff", r"its sequences do not lie one after the other"),
        (34 + 12 + 8, b"\x02", r"its sequences do not lie one after the other"),
        (34 + 36 + 8, b"\x04", r"its documents are not all of its 3 sequences"),
        (34 + 36 + 16, b"\x01", r"its documents are not all of its 3 sequences"),
        (26, b"\0", r"ends before the last of its 0 documents"),
    ],
)
def test_an_index_that_contradicts_itself(tmp_path: Path, offset: int, value: bytes, message: str) -> None:
    _write_sequences(tmp_path / "d", numpy.uint16, [[[1, 2], [3]], [[4]]])
    assert len(IndexedReader.open(tmp_path / "d")) == 2
    with pytest.raises(ConfigError, match=message):
        IndexedReader.open(_edited(tmp_path / "d", offset, value))


def test_a_data_set_is_named_by_its_prefix_or_either_file() -> None:
    assert {prefix_of(Path(name)) for name in ("a/b.c", "a/b.c.bin", "a/b.c.idx")} == {Path("a/b.c")}


def test_an_exception_in_the_block_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> None:
        with IndexedWriter(tmp_path / "c", "H") as writer:
            writer.add(array("H", [1, 2]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_files_appear_only_when_complete(tmp_path: Path) -> None:
    with IndexedWriter(tmp_path / "c", "H") as writer:
        writer.add(array("H", range(1000)))
        assert not bin_path(tmp_path / "c").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"c.bin", "c.idx"}
