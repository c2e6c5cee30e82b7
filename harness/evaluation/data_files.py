"""What validation data lie in, told by their names, and opened."""

from collections.abc import Sequence
from pathlib import Path

from harness.data.indexed import IndexedReader, bin_path, idx_path, prefix_of
from harness.data.tokenizers import Tokenizer, load_tokenizer
from harness.errors import ConfigError
from harness.evaluation.spec import DataFormat


def data_format_of(files: Sequence[str]) -> DataFormat:
    """What the files are, by their names and by what lies beside them; ConfigError where they are of several kinds.

    Indexed is a prefix, or either file, of a .bin with an .idx; npy is .npy and a .bin alone; all else is text.
    """
    formats = {file: _format_of(Path(file)) for file in files}
    found = sorted(set(formats.values()))
    if len(found) > 1:
        told = "; ".join(f"{file} as {name}" for file, name in formats.items())
        raise ConfigError(f"validation data are of one kind, these are read {told}: evaluate them one kind at a time")
    return found[0] if found else "text"


def stored_files(files: Sequence[str]) -> list[Path]:
    """The files that hold the data: those named, and both of a .bin and .idx that are named by their prefix."""
    named = [Path(file) for file in files]
    pairs = [path for file in named for path in (bin_path(prefix_of(file)), idx_path(prefix_of(file)))]
    return [path for path in dict.fromkeys((*named, *pairs)) if path.is_file()]


def open_indexed(file: Path) -> IndexedReader:
    """The data set of a prefix, a .bin or an .idx; ConfigError where it cannot be read or holds no token."""
    prefix = prefix_of(file)
    reader = IndexedReader.open(prefix)
    if not reader.tokens:
        raise ConfigError(f"{bin_path(prefix)}: holds no token")
    return reader


def open_tokenizer(folder: str | None, vocab_size: int) -> Tokenizer:
    """The tokenizer in a folder, None for the byte-level one; ConfigError where the model's vocabulary is another.

    A model may have a few tokens more than its tokenizer, but the byte-level one has no other vocabulary than its own.
    """
    tokenizer = load_tokenizer(None if folder is None else Path(folder))
    if folder is None and vocab_size > tokenizer.vocab_size:
        raise ConfigError(
            f"the byte-level tokenizer has {tokenizer.vocab_size} tokens, the model's vocabulary {vocab_size}: set"
            " TOKENIZER_MODEL=FOLDER of the tokenizer that it was trained with"
        )
    if folder is not None and 2 * tokenizer.vocab_size < vocab_size:
        raise ConfigError(
            f"{folder}: has {tokenizer.vocab_size} tokens, less than half of the model's vocabulary, {vocab_size}: set"
            " TOKENIZER_MODEL=FOLDER of the tokenizer that it was trained with"
        )
    if tokenizer.vocab_size > vocab_size:
        raise ConfigError(
            f"{folder or 'the byte-level tokenizer'}: has {tokenizer.vocab_size} tokens, the model's vocabulary "
            f"{vocab_size}: give the folder of the tokenizer that the model was trained with"
        )
    return tokenizer


def too_short(files: Sequence[str], tokens: int) -> list[str]:
    """The problem of data without a token to predict."""
    if tokens > 1:
        return []
    return [f"{', '.join(files)}: too short, {tokens} tokens: at least 2 are needed, one to predict the other by"]


def _format_of(file: Path) -> DataFormat:
    """The kind of one file."""
    prefix = prefix_of(file)
    if file.suffix == ".idx" or (idx_path(prefix).exists() and (file.suffix == ".bin" or not file.is_file())):
        return "indexed"
    return "npy" if file.suffix in (".npy", ".bin") else "text"
