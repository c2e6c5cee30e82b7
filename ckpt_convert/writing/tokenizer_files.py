"""The tokenizer's files, which go with the weights: whoever evaluates or serves the target finds them beside it."""

from collections.abc import Iterator
from pathlib import Path

from ckpt_convert.writing.files import OutputFile, literal_file
from harness.errors import ConfigError

NAMES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.model", "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json"),
)
"""What `save_pretrained` of transformers writes of a tokenizer."""


def tokenizer_files(source: Path, folder: str = "") -> Iterator[OutputFile]:
    """Those of NAMES that the source has, as files of the target's `folder`. ConfigError for one that is unreadable."""
    for path in (source / name for name in NAMES):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}; mend that, or move it away") from None
        yield literal_file(f"{folder}/{path.name}" if folder else path.name, content)
