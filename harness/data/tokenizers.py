"""From UTF-8 documents to token numbers: bytes as they are, or a Hugging Face tokenizer."""

import json
from array import array
from collections.abc import Buffer, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.data.indexed import token_code
from harness.errors import ConfigError, EnvironmentProblem


class Tokenizer(Protocol):
    """What `prepare` needs of a tokenizer."""

    @property
    def vocab_size(self) -> int:
        """One more than the largest token number."""

    @property
    def end_of_document(self) -> int:
        """The token that ends every document."""

    def encode(self, documents: Sequence[bytes]) -> Iterator[Buffer]:
        """Each document's tokens and the end of document, in the type that `token_code(vocab_size)` names."""


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


class HuggingFaceTokenizer:
    """A tokenizer saved in a folder (tokenizer.json), as it comes with a model."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = _load(path)
        self.vocab_size: int = max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.end_of_document: int = _end_of_document(path, self._tokenizer)

    def encode(self, documents: Sequence[bytes]) -> Iterator[array[int]]:
        """No special tokens are added but the end of document."""
        code = token_code(self.vocab_size)
        texts = [document.decode() for document in documents]
        for encoding in self._tokenizer.encode_batch(texts, add_special_tokens=False):
            tokens = array(code, encoding.ids)
            tokens.append(self.end_of_document)
            yield tokens


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
