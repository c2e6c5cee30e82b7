"""Our token files against Megatron's own reader and writer."""

from array import array
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.indexed import IndexedReader, IndexedWriter, bin_path, idx_path, token_code

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
    dtype = megatron.DType.optimal_dtype(vocab_size)
    builder = megatron.IndexedDatasetBuilder(str(bin_path(prefix)), dtype=dtype)
    for document in documents:
        builder.add_document(torch.tensor(document, dtype=torch.int64), [len(document)])
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
