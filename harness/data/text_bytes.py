"""How many bytes of text each token stands for: what a loss in nats becomes bits per byte by."""

from array import array
from collections.abc import Sequence
from itertools import accumulate


def bytes_of_tokens(text: str, offsets: Sequence[tuple[int, int]]) -> array[int]:
    """Bytes of UTF-8 that each token adds, given the characters (from, to) that it came from; they sum to the text's.

    Characters that no token covers, such as spaces that a tokenizer drops, count with the token after them, at the end
    of the text with the last one. A character made into several tokens counts with the first of them, the rest have 0.
    """
    ends = list(accumulate((end for _, end in offsets), max))
    if ends:
        ends[-1] = len(text)
    if not text.isascii():
        before = [0, *accumulate(len(character.encode()) for character in text)]
        ends = [before[end] for end in ends]
    return array("i", (end - begin for begin, end in zip([0, *ends], ends, strict=False)))
