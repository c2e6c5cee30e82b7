"""Text files made into one of Megatron's indexed data sets: what `moe-harness data prepare` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.data.documents import batches, documents, problems_of, shortened
from harness.data.indexed import IndexedWriter, bin_path, idx_path, token_code
from harness.data.tokenizers import ByteTokenizer, Tokenizer
from harness.errors import ConfigError

_BATCH_BYTES = 16 * 2**20


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A data set that was written. `prefix` is what Megatron's `--data-path` takes."""

    prefix: Path
    documents: int
    tokens: int
    text_bytes: int
    empty_documents: int  # left out


def prepare(
    files: Sequence[Path], output_prefix: Path, *, tokenizer: Tokenizer | None = None, overwrite: bool = False
) -> Prepared:
    """Write OUTPUT_PREFIX_text_document.bin and .idx from text files, in the order given.

    A .jsonl file holds one document a line (its `text`); any other file is one document. Each document is followed
    by the tokenizer's end of document. All that is wrong with the input is in one ConfigError, and then nothing
    is written.
    """
    tokenizer = tokenizer or ByteTokenizer()
    prefix = output_prefix.with_name(output_prefix.name + "_text_document")
    problems = problems_of(files) + _problems_of_output(prefix, overwrite=overwrite)
    if problems:
        raise ConfigError(problems)
    count = tokens = text_bytes = empty = 0
    with IndexedWriter(prefix, token_code(tokenizer.vocab_size)) as writer:
        for batch in batches((text for file in files for text in documents(file, problems)), _BATCH_BYTES):
            filled = [document for document in batch if document]
            for encoded in tokenizer.encode(filled):
                tokens += writer.add(encoded)
            count += len(filled)
            empty += len(batch) - len(filled)
            text_bytes += sum(map(len, filled))
        if not (count or problems):
            problems.append(f"{', '.join(map(str, files))}: no document in it")
        if problems:
            raise ConfigError(shortened(problems))
    return Prepared(prefix=prefix, documents=count, tokens=tokens, text_bytes=text_bytes, empty_documents=empty)


def _problems_of_output(prefix: Path, *, overwrite: bool) -> list[str]:
    """Output files that exist already."""
    existing = [path for path in (bin_path(prefix), idx_path(prefix)) if path.exists()]
    return [] if overwrite else [f"{path}: exists already; choose another prefix, or overwrite it" for path in existing]
