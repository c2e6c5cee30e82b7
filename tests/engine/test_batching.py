"""Batches of sequences."""

from harness.engine.batching import BatchLimit, batches_of


def test_batches_hold_as_many_tokens_as_allowed() -> None:
    """The longest first; padding counts; one that is too long is alone."""
    batches = batches_of([3, 12, 5, 4, 5, 1], lambda length: length, BatchLimit(tokens=10))
    assert batches == [[12], [5, 5], [4, 3], [1]]


def test_batches_hold_as_many_sequences_as_asked() -> None:
    """Whatever their length."""
    batches = batches_of([3, 12, 5], lambda length: length, BatchLimit(tokens=10, sequences=2))
    assert batches == [[12, 5], [3]]


def test_lengths_of_a_batch_differ_little() -> None:
    """By no more than allowed."""
    batches = batches_of([9, 8, 6, 5, 5, 1], lambda length: length, BatchLimit(tokens=100), spread=3)
    assert batches == [[9, 8, 6], [5, 5], [1]]


def test_nothing_makes_no_batch() -> None:
    """No sequences, no batches."""
    assert batches_of([], len, BatchLimit(tokens=10)) == []
