"""Text to tokens and back: a Hugging Face tokenizer's folder, or bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.errors import ConfigError, EnvironmentProblem


class TextTokenizer(Protocol):
    """What tasks need of a tokenizer. `underlying` is that of transformers, None for bytes."""

    name: str
    underlying: Any
    vocab_size: int
    end: int | None
    begin: int | None

    def encode(self, text: str, add_special_tokens: bool | None = None) -> list[int]:
        """The tokens of a text, with special ones as asked, or as the tokenizer itself does."""

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        """The text of tokens."""


class ByteText:
    """Tokens 0 to 255 are the bytes of the text, 256 ends a document."""

    name = "bytes"
    underlying = None
    vocab_size = 257
    end: int | None = 256
    begin: int | None = None

    def encode(self, text: str, add_special_tokens: bool | None = None) -> list[int]:
        """Bytes; there are no special tokens to add."""
        return list(text.encode())

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        """The text; the end of a document is none."""
        return bytes(token for token in tokens if token < self.end).decode(errors="replace")  # type: ignore[operator]


class HuggingFaceText:
    """A tokenizer of transformers, from a folder on this machine."""

    def __init__(self, folder: Path) -> None:
        """Read it; ConfigError if that cannot be."""
        try:
            from transformers import AutoTokenizer
        except ImportError:
            raise EnvironmentProblem(
                "a Hugging Face tokenizer needs the package 'transformers': pip install 'moe-harness[tokenizers]'"
            ) from None
        try:
            self.underlying: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"{folder}: not a Hugging Face tokenizer: {reason}") from None
        self.name = str(folder)
        self.vocab_size = len(self.underlying)
        self.end: int | None = self.underlying.eos_token_id
        self.begin: int | None = self.underlying.bos_token_id

    def encode(self, text: str, add_special_tokens: bool | None = None) -> list[int]:
        """The tokens of a text."""
        options = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        tokens: list[int] = self.underlying.encode(text, **options)
        return tokens

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        """The text of tokens."""
        text: str = self.underlying.decode(list(tokens), skip_special_tokens=skip_special_tokens)
        return text


def load_text_tokenizer(folder: str | None) -> TextTokenizer:
    """The tokenizer in a folder, or the byte-level one."""
    return ByteText() if folder is None else HuggingFaceText(Path(folder))
