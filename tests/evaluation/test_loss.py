"""Losses summed up: in any order, over any padding, and against what can be said by hand."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from validation_files import write_npy

from harness.data.sample import HELD_OUT
from harness.evaluation.loss import validation
from harness.evaluation.spec import ValidationData
from harness.evaluation.windows import Windows, read_windows

type Losses = NDArray[np.float32]


def _of_chapter(seq_len: int = 64, max_tokens: int = 5000) -> Windows:
    data = ValidationData(files=(str(HELD_OUT),))
    return read_windows(data, vocab_size=257, seq_len=seq_len, max_tokens=max_tokens)


def _losses(windows: Windows, seed: int, *depths: int) -> Losses:
    drawn = np.random.default_rng(seed).gamma(2.0, 1.5, (*depths, *windows.targets.shape))
    return drawn.astype(np.float32)


@given(st.integers(1, 300), st.integers(2, 2000), st.integers(0, 99), st.integers(1, 7))
def test_the_order_of_windows_and_the_ranks_that_had_them_change_nothing(
    seq_len: int, max_tokens: int, seed: int, ranks: int
) -> None:
    windows = _of_chapter(seq_len, max_tokens)
    nll, mtp = _losses(windows, seed), _losses(windows, seed + 1, 2)
    whole = validation(windows, nll, mtp)
    order = np.concatenate([np.arange(len(nll))[rank::ranks] for rank in range(ranks)])
    order = np.random.default_rng(seed).permutation(order)
    assert windows.text_bytes is not None
    shuffled = replace(
        windows,
        tokens=windows.tokens[order],
        lengths=windows.lengths[order],
        text_bytes=windows.text_bytes[order],
    )
    other = validation(shuffled, nll[order], mtp[:, order])
    assert other.pop("windows") == [whole["windows"][place] for place in order]
    del whole["windows"]
    assert other == whole, "sums are exact, so nothing is left to rounding"


@given(st.integers(1, 200), st.integers(2, 1000), st.sampled_from([np.nan, np.inf, -1e30, 7.0]))
def test_padding_never_counts(seq_len: int, max_tokens: int, garbage: float) -> None:
    windows = _of_chapter(seq_len, max_tokens)
    nll, mtp = _losses(windows, 1), _losses(windows, 2, 1)
    clean = validation(windows, nll, mtp)
    spoiled, spoiled_mtp = nll.copy(), mtp.copy()
    spoiled[~windows.real] = garbage
    spoiled_mtp[0, np.arange(windows.seq_len) >= windows.lengths[:, None] - 1] = garbage
    assert validation(windows, spoiled, spoiled_mtp) == clean


@given(st.integers(2, 200_000), st.integers(1, 90))
def test_the_perplexity_of_uniform_predictions_is_the_vocabulary(vocab_size: int, seq_len: int) -> None:
    windows = _of_chapter(seq_len)
    uniform = np.full(windows.targets.shape, math.log(vocab_size), np.float32)
    result = validation(windows, uniform, uniform[None])
    assert result["perplexity"] == pytest.approx(vocab_size, rel=2e-6)
    assert result["stderr"] == pytest.approx(0, abs=1e-9)
    assert result["mtp_loss"]["mtp_0"] == (pytest.approx(math.log(vocab_size), rel=1e-6) if seq_len > 1 else None)


@given(st.integers(0, 99))
def test_bits_per_byte_of_bytes_are_the_loss_of_text_in_bits(seed: int) -> None:
    windows = _of_chapter(max_tokens=10**6)
    nll = _losses(windows, seed)
    is_text = windows.real & (windows.targets != 256)
    assert is_text.sum() == windows.real.sum() - 1
    expected = nll[is_text].astype(np.float64).mean() / math.log(2)
    assert validation(windows, nll, None)["bits_per_byte"] == pytest.approx(expected, rel=1e-12)


def test_by_hand(tmp_path: Path) -> None:
    file = write_npy(tmp_path / "a.npy", np.arange(6, dtype=np.uint16))
    windows = read_windows(ValidationData(files=(str(file),), format="npy"), vocab_size=9, seq_len=3, max_tokens=100)
    nll = np.array([[1, 2, 3], [4, 8, 99]], np.float32)
    mtp = np.array([[[1, 3, 99], [5, 99, 99]], [[2, 99, 99], [99, 99, 99]], [[99] * 3, [99] * 3]], np.float32)
    result = validation(windows, nll, mtp)
    assert (result["loss"], result["tokens"], result["windows"]) == (18 / 5, 5, [[6.0, 3], [12.0, 2]])
    assert result["perplexity"] == math.exp(18 / 5)
    assert result["stderr"] == pytest.approx(math.sqrt(2 * (4.8**2 + 4.8**2)) / 5)
    assert result["mtp_loss"] == {"mtp_0": 3.0, "mtp_1": 2.0, "mtp_2": None}
    assert result["bits_per_byte"] is None
    assert result["data"]["files"] == [str(file)]
    assert json.loads(json.dumps(result)) == result


def test_the_standard_error_is_that_of_repeated_draws() -> None:
    windows = _of_chapter(max_tokens=6399)  # the last window is shorter
    drawn = [validation(windows, _losses(windows, seed), None) for seed in range(400)]
    spread = np.std([result["loss"] for result in drawn], ddof=1)
    assert np.mean([result["stderr"] for result in drawn]) == pytest.approx(spread, rel=0.1)
    assert validation(_of_chapter(64, 64), np.ones((1, 64), np.float32), None)["stderr"] is None


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_loss_that_is_no_number_is_none_and_counted(broken: float) -> None:
    windows = _of_chapter()
    nll = _losses(windows, 0)
    nll[1, 5:7] = broken
    result = validation(windows, nll, None)
    assert [result[name] for name in ("loss", "perplexity", "stderr", "bits_per_byte")] == [None] * 4
    assert result["tokens_not_finite"] == 2
    assert [total is None for total, _ in result["windows"]].count(True) == 1
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_a_perplexity_beyond_double_precision_is_none() -> None:
    windows = _of_chapter()
    result = validation(windows, np.full(windows.targets.shape, 1000, np.float32), None)
    assert (result["loss"], result["perplexity"]) == (1000.0, None)
