"""Rules of data, tokenizer and vocabulary."""

import shlex
from collections.abc import Iterator

from harness.config.directives import Derived, Directive, Flag, Notice, Problem
from harness.config.draft import Draft
from harness.config.layers import LAYER_ORDER
from harness.config.releases import Release
from harness.config.setting_flags import FLAG_OF_SETTING

NULL_COUNTS_EOD = Release(0, 18)  # from here on NullTokenizer's --vocab-size includes the end-of-document token
SAMPLE = "data/sample-2/alice_text_document"  # in OUTPUT_PATH; a new text gets a new number, see harness/data/sample
BYTE_EOD = 256  # the byte-level tokenizer's end of document, see harness/data/tokenizers.py


def data(draft: Draft) -> Iterator[Directive]:
    """DATASET=mock; sample, which launch makes from the text that ships; or the cluster conf's DATA_PATH."""
    dataset, prefixes = draft.text("DATASET"), draft.text("DATA_PATH")
    if dataset == "mock":
        yield Flag(flag="--mock-data")
    elif dataset == "sample" and not prefixes:
        prefix = sample_prefix(draft.text("OUTPUT_PATH"))
        yield Derived(name="DATA_PATH", value=prefix)
        yield Flag(flag=FLAG_OF_SETTING["DATA_PATH"], value=(prefix,))
    elif prefixes:
        yield _data_path(draft, prefixes)
    else:
        yield Problem(
            text=f"DATASET={dataset} ({draft.origin('DATASET')}) has no DATA_PATH; add `{dataset} = PREFIX` to "
            "[DATA_PATH] of the cluster conf, set DATA_PATH=PREFIX, or DATASET=mock"
        )


def sample_prefix(output_path: str) -> str:
    """Where the sample data lies; what stands anywhere else is the user's own."""
    return f"{output_path}/{SAMPLE}"


def _data_path(draft: Draft, prefixes: str) -> Directive:
    try:
        words = [word if is_weight(word) else draft.absolute(word) for word in shlex.split(prefixes)]
        return Flag(flag=FLAG_OF_SETTING["DATA_PATH"], value=tuple(words))
    except ValueError as error:
        return Problem(text=f"{draft.origin('DATA_PATH')}: DATA_PATH={prefixes!r}: {error}; quote a path with spaces")


def is_weight(word: str) -> bool:
    """Whether a word of a blend is the weight of the data that follow."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def vocabulary(draft: Draft) -> Iterator[Directive]:
    """Mock and byte-level data need no tokenizer model; all else takes TOKENIZER_MODEL."""
    plain = draft.text("DATASET") in ("mock", "sample") and not draft.text("TOKENIZER_MODEL")
    if draft.flags.has("--tokenizer-type"):
        plain = draft.flags.text("--tokenizer-type") == "NullTokenizer"
    size = draft.integer("VOCAB_SIZE")
    if plain:
        yield Flag(flag="--tokenizer-type", value="NullTokenizer")
        size -= 0 if draft.release >= NULL_COUNTS_EOD else 1
        if draft.text("DATASET") == "sample" and draft.release >= NULL_COUNTS_EOD:
            yield Flag(flag="--null-tokenizer-eod-id", value=str(BYTE_EOD))
    elif draft.text("TOKENIZER_MODEL"):
        yield from _tokenizer(draft)
    else:
        yield Problem(text="TOKENIZER_MODEL is not set; give a tokenizer's folder, or set DATASET=mock")
    if size > 0:
        yield Flag(flag=FLAG_OF_SETTING["VOCAB_SIZE"], value=str(size))


def _tokenizer(draft: Draft) -> Iterator[Directive]:
    yield Flag(flag="--tokenizer-type", value="HuggingFaceTokenizer")
    yield draft.carrier("TOKENIZER_MODEL")
    if draft.text("PROXY") and draft.layer_rank("VOCAB_SIZE", LAYER_ORDER) == LAYER_ORDER.index("proxy"):
        size = draft.text("VOCAB_SIZE")
        yield Notice(text=f"FLOPs are counted for the proxy's VOCAB_SIZE={size}; set VOCAB_SIZE to your tokenizer's")
