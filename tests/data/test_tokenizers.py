"""A real Hugging Face tokenizer, trained here, and every way a folder can fail to be one."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.indexed import IndexedReader
from harness.data.prepare import prepare
from harness.data.text_bytes import bytes_of_tokens
from harness.data.tokenizers import ByteTokenizer, HuggingFaceTokenizer, load_tokenizer
from harness.errors import ConfigError, EnvironmentProblem

tokenizers: Any = pytest.importorskip("tokenizers")

_TEXT = "the cat sat on the mat; die Katze saß auf der Matte. " * 20


def _save(folder: Path, *, eos: object = "</s>", vocabulary: int = 300) -> Path:
    """A byte-level BPE that also knows how to add <s> by itself, as the models' own do."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_TEXT], trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    tokenizer.enable_truncation(max_length=8)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": eos} if eos else {}))
    return folder


@pytest.mark.parametrize("eos", ["</s>", {"content": "</s>", "special": True}], ids=["text", "object"])
def test_documents_come_back_whole_and_end_with_eos(tmp_path: Path, eos: object) -> None:
    folder = _save(tmp_path / "tokenizer", eos=eos)
    tokenizer = HuggingFaceTokenizer(folder)
    text = tmp_path / "a.txt"
    text.write_text(_TEXT)
    done = prepare([text], tmp_path / "c", tokenizer=tokenizer)
    ids = IndexedReader.open(done.prefix)[0].tolist()
    reference = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert ids[-1] == tokenizer.end_of_document == reference.token_to_id("</s>")
    assert reference.token_to_id("<s>") not in ids
    assert reference.decode(ids[:-1]) == _TEXT, "the saved truncation to 8 tokens must not apply"
    assert len(ids) == done.tokens < done.text_bytes / 2
    assert tokenizer.vocab_size == reference.get_vocab_size()


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_bytes_of_tokens_sum_to_the_text(texts: list[str]) -> None:
    documents = [text.encode("utf-8", "ignore") for text in texts]
    with TemporaryDirectory() as parent:
        for tokenizer in (ByteTokenizer(), HuggingFaceTokenizer(_save(Path(parent) / "tokenizer"))):
            measured = list(tokenizer.encode_measured(documents))
            assert [bytes(tokens) for tokens, _ in measured] == [
                bytes(tokens) for tokens in tokenizer.encode(documents)
            ]
            assert [sum(sizes) for _, sizes in measured] == list(map(len, documents))
            assert all(len(sizes) == memoryview(tokens).nbytes // 2 for tokens, sizes in measured)
            assert all(sizes[-1] == 0 and min(sizes) >= 0 for _, sizes in measured)


def test_a_split_character_counts_with_its_first_token_and_dropped_spaces_with_the_next() -> None:
    assert bytes_of_tokens("ß cat  ", [(0, 1), (0, 1), (2, 4), (4, 5)]).tolist() == [2, 0, 3, 3]
    assert bytes_of_tokens("", []).tolist() == []


@pytest.mark.slow
def test_tokens_equal_those_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = _save(tmp_path / "tokenizer")
    ours = next(HuggingFaceTokenizer(folder).encode([_TEXT.encode()]))
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(str(folder))
    assert list(ours) == [*theirs(_TEXT, add_special_tokens=False, truncation=False).input_ids, theirs.eos_token_id]


def test_a_vocabulary_past_u16_gets_four_bytes_a_token(tmp_path: Path) -> None:
    folder = _save(tmp_path / "tokenizer")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["added_tokens"][1]["id"] = 70_000
    tokenizer["model"]["vocab"]["</s>"] = 70_000
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    text = tmp_path / "a.txt"
    text.write_text(_TEXT)
    done = prepare([text], tmp_path / "c", tokenizer=HuggingFaceTokenizer(folder))
    data = IndexedReader.open(done.prefix)
    assert (data.code, data[0][-1]) == ("i", 70_000)


def test_no_path_means_bytes() -> None:
    assert load_tokenizer().vocab_size == 257


def test_folders_that_are_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"org/model: no such folder; give the folder of a downloaded tokenizer"):
        load_tokenizer(Path("org/model"))
    with pytest.raises(ConfigError, match=r"not a Hugging Face tokenizer: it has no tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(ConfigError, match=r"tokenizer\.json: not a Hugging Face tokenizer: "):
        load_tokenizer(tmp_path)


def test_a_tokenizer_without_an_end_of_document(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"names no eos_token: set eos_token in tokenizer_config\.json"):
        load_tokenizer(_save(tmp_path / "none", eos=None))
    with pytest.raises(ConfigError, match=r"names an eos_token outside its vocabulary, '<end>'"):
        load_tokenizer(_save(tmp_path / "other", eos="<end>"))


def test_the_package_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _save(tmp_path / "tokenizer")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(EnvironmentProblem, match=r"needs the package 'tokenizers': pip install tokenizers"):
        load_tokenizer(folder)
