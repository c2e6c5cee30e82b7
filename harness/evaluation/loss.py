"""Loss of validation data: its mean over tokens, what follows from it, and how sure it is."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.windows import Windows


def validation(windows: Windows, nll: NDArray[np.float32], mtp_nll: NDArray[np.float32] | None) -> dict[str, Any]:
    """What `validation` of a result holds.

    `nll` [n, s]: the negative natural logarithm of each target's probability. `mtp_nll` [d, n, s]: those of the MTP
    module at each depth, which at place t predicts the token t + 2 + depth of the window. What lies beyond a window's
    tokens may be anything. All sums are in float64.

    `loss` is the mean over tokens, `stderr` its standard error with windows as the sample; `windows` are the sum and
    the count of each, for paired tests. `bits_per_byte` leaves out the losses of ends of documents, which stand for no
    text; None where data are tokens already. A token whose loss is not finite is counted in `tokens_not_finite`, and
    then what it enters is None.
    """
    real = windows.real
    sums = _sums(nll, real)
    loss = _mean(sums, windows.lengths)
    return {
        "loss": loss,
        "perplexity": _exponential(loss),
        "tokens": int(windows.lengths.sum()),
        "tokens_not_finite": int((real & ~np.isfinite(nll)).sum()),
        "bits_per_byte": _bits_per_byte(windows, nll),
        "stderr": _standard_error(sums, windows.lengths),
        "windows": [[_finite(total), count] for total, count in zip(sums, windows.lengths.tolist(), strict=True)],
        "mtp_loss": _mtp_losses(windows, mtp_nll),
        "data": _data(windows),
    }


def _sums(nll: NDArray[np.float32], counted: NDArray[np.bool_]) -> list[float]:
    """The sum of each window's counted losses."""
    sums: list[float] = np.where(counted, nll.astype(np.float64), 0.0).sum(axis=-1).tolist()
    return sums


def _mean(sums: list[float], counts: NDArray[np.int64]) -> float | None:
    """The mean over all tokens, whatever the order of windows; None where there are none, or one is not finite."""
    total = int(counts.sum())
    return _finite(math.fsum(sums) / total) if total and all(map(math.isfinite, sums)) else None


def _standard_error(sums: list[float], counts: NDArray[np.int64]) -> float | None:
    """That of a ratio of two sums over windows (linearised); None for less than two windows.

    W. G. Cochran, Sampling Techniques, 3rd edition, section 2.11, without the correction for a finite population.
    """
    mean, windows = _mean(sums, counts), len(sums)
    if mean is None or windows < 2:
        return None
    deviations = math.fsum((total - mean * count) ** 2 for total, count in zip(sums, counts.tolist(), strict=True))
    return math.sqrt(deviations * windows / (windows - 1)) / int(counts.sum())


def _bits_per_byte(windows: Windows, nll: NDArray[np.float32]) -> float | None:
    """Bits that the model needs for a byte of text."""
    if windows.text_bytes is None:
        return None
    is_end = (windows.targets == windows.end_of_document) & (windows.text_bytes == 0)
    text_bytes = int(windows.text_bytes[windows.real].sum())
    bits = _mean(_sums(nll, windows.real & ~is_end), np.array([text_bytes]))
    return None if bits is None else bits / math.log(2)


def _mtp_losses(windows: Windows, mtp_nll: NDArray[np.float32] | None) -> dict[str, float | None]:
    """The mean loss of each depth over the targets that lie inside their window, as `mtp_N`."""
    if mtp_nll is None:
        return {}
    losses = {}
    for depth, nll in enumerate(mtp_nll):
        counts = np.maximum(windows.lengths - (depth + 1), 0)
        counted = np.arange(windows.seq_len) < counts[:, None]
        losses[f"mtp_{depth}"] = _mean(_sums(nll, counted), counts)
    return losses


def _data(windows: Windows) -> Mapping[str, Any]:
    """What was evaluated, so that unlike evaluations are told apart."""
    return {
        "files": list(windows.files),
        "sha256": windows.sha256,
        "documents": windows.documents,
        "truncated": windows.truncated,
        "seq_len": windows.seq_len,
        "rule": windows.rule,
    }


def _exponential(loss: float | None) -> float | None:
    """e to the loss; None where that is no number of double precision."""
    try:
        return None if loss is None else math.exp(loss)
    except OverflowError:
        return None


def _finite(value: float) -> float | None:
    """The value, None where it is none."""
    return value if math.isfinite(value) else None
