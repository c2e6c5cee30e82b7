"""From UTF-8 documents to token numbers: bytes as they are, or a Hugging Face tokenizer."""

import json
from array import array
from collections.abc import Buffer, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.data.indexed import token_code
from harness.data.text_bytes import bytes_of_tokens
from harness.errors import ConfigError, EnvironmentProblem


class Tokenizer(Protocol):
    """What training data and evaluation need of a tokenizer."""

    @property
    def vocab_size(self) -> int:
        """One more than the largest token number."""

    @property
    def end_of_document(self) -> int:
        """The token that ends every document."""

    def encode(self, documents: Sequence[bytes]) -> Iterator[Buffer]:
        """Each document's tokens and the end of document, in the type that `token_code(vocab_size)` names."""

    def encode_measured(self, documents: Sequence[bytes]) -> Iterator[tuple[Buffer, array[int]]]:
        """The same, each with the bytes of text (i32) that its tokens stand for; an end of document stands for none."""


class ByteTokenizer:
    """Tokens 0 to 255 are the bytes of the text, 256 ends a document.

    To Megatron that is its NullTokenizer over 257 tokens, whose last one ends a document.
    """

    end_of_document = 256
    vocab_size = 257

    def encode(self, documents: Sequence[bytes]) -> Iterator[bytearray]:
        """Each byte becomes a little-endian u16."""
        for text in documents:
            tokens = bytearray(2 * len(text) + 2)
            tokens[:-2:2] = text
            tokens[-1] = 1  # 256 is the bytes 0, 1
            yield tokens

    def encode_measured(self, documents: Sequence[bytes]) -> Iterator[tuple[bytearray, array[int]]]:
        """Each token is one byte, the end of document none."""
        for tokens in self.encode(documents):
            yield tokens, array("i", [1]) * (len(tokens) // 2 - 1) + array("i", [0])


class HuggingFaceTokenizer:
    """A tokenizer saved in a folder (tokenizer.json), as it comes with a model."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = _load(path)
        self.vocab_size: int = max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.end_of_document: int = _end_of_document(path, self._tokenizer)

    def encode(self, documents: Sequence[bytes]) -> Iterator[array[int]]:
        """No special tokens are added but the end of document."""
        for _, encoding in self._encoded(documents):
            yield self._tokens(encoding)

    def encode_measured(self, documents: Sequence[bytes]) -> Iterator[tuple[array[int], array[int]]]:
        """Bytes are told by the characters that the tokenizer says a token came from."""
        for text, encoding in self._encoded(documents):
            yield self._tokens(encoding), bytes_of_tokens(text, encoding.offsets) + array("i", [0])

    def _encoded(self, documents: Sequence[bytes]) -> Iterator[tuple[str, Any]]:
        """Each document's text and what the tokenizer made of it."""
        texts = [document.decode() for document in documents]
        return zip(texts, self._tokenizer.encode_batch(texts, add_special_tokens=False), strict=True)

    def _tokens(self, encoding: Any) -> array[int]:
        """The numbers of one document's tokens, its end included."""
        tokens = array(token_code(self.vocab_size), encoding.ids)
        tokens.append(self.end_of_document)
        return tokens


def load_tokenizer(path: Path | None = None) -> Tokenizer:
    """The byte-level tokenizer, or the Hugging Face tokenizer in a folder."""
    return ByteTokenizer() if path is None else HuggingFaceTokenizer(path)


def _load(path: Path) -> Any:
    """The folder's tokenizer.json, with truncation and padding off."""
    file = path / "tokenizer.json"
    if not path.is_dir():
        raise ConfigError(
            f"{path}: no such folder; give the folder of a downloaded tokenizer "
            "(hf download NAME --include '*token*' --local-dir DIR)"
        )
    if not file.is_file():
        raise ConfigError(f"{path}: not a Hugging Face tokenizer: it has no tokenizer.json")
    try:
        import tokenizers
    except ImportError as error:
        raise EnvironmentProblem(
            "a Hugging Face tokenizer needs the package 'tokenizers': pip install tokenizers"
        ) from error
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the package raises nothing narrower
        raise ConfigError(f"{file}: not a Hugging Face tokenizer: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _end_of_document(path: Path, tokenizer: Any) -> int:
    """The number of the eos token that the folder's configuration names."""
    names = ("tokenizer_config.json", "special_tokens_map.json")
    token = next((found for name in names if (found := _eos_token(path / name))), None)
    number: int | None = None if token is None else tokenizer.token_to_id(token)
    if number is None:
        found = "names no eos_token" if token is None else f"names an eos_token outside its vocabulary, {token!r}"
        raise ConfigError(f"{path}: the tokenizer {found}: set eos_token in tokenizer_config.json; it ends a document")
    return number


def _eos_token(file: Path) -> str | None:
    """The `eos_token` of a configuration file, written as text or as an object with `content`."""
    if not file.is_file():
        return None
    try:
        token = json.loads(file.read_text(encoding="utf-8")).get("eos_token")
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{file}: not a JSON object: {error}") from error
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None
