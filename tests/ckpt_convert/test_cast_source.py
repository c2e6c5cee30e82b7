"""Casts against torch's, bit for bit, and the numbers that are refused."""

from threading import Thread
from tracemalloc import get_traced_memory, reset_peak, start, stop
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scaled_source import ScaledSource, cast_rows, fp8_source

from ckpt_convert.cast import CastSource
from ckpt_convert.tensors import Dtype
from harness.errors import ConfigError

torch = pytest.importorskip("torch")

_TORCH = {Dtype.BF16: torch.bfloat16, Dtype.F16: torch.float16, Dtype.F32: torch.float32}
_BITS = {2: np.uint16, 4: np.uint32}
_ALL_PATTERNS = np.arange(65536, dtype="<u2").reshape(256, 256)
_LARGEST_F16 = 65504.0


def _by_torch(values: NDArray, stored: Dtype, asked: Dtype) -> NDArray:
    tensor = torch.from_numpy(values.view(np.uint8)).view(_TORCH[stored]).to(_TORCH[asked])
    return tensor.view(torch.uint8).numpy().view(asked.numpy)


def _is_nan(values: NDArray, dtype: Dtype) -> NDArray[np.bool]:
    return np.isnan((values.astype(np.uint32) << 16).view(np.float32) if dtype is Dtype.BF16 else values)


def _assert_same_bits(ours: NDArray, theirs: NDArray, dtype: Dtype) -> None:
    """Equal but for the payload of NaNs, in which torch's own casts differ from one processor to another."""
    nan = _is_nan(theirs, dtype)
    assert np.array_equal(_is_nan(ours, dtype), nan)
    bits: Any = _BITS[dtype.itemsize]
    assert np.array_equal(ours.view(bits)[~nan], theirs.view(bits)[~nan])


@pytest.mark.parametrize(
    ("stored", "asked"), [(Dtype.BF16, Dtype.F32), (Dtype.F16, Dtype.F32), (Dtype.F16, Dtype.BF16)]
)
def test_all_patterns_of_16_bits_are_cast_as_torch_does(stored: Dtype, asked: Dtype) -> None:
    values = _ALL_PATTERNS.view(stored.numpy)
    _assert_same_bits(
        cast_rows(ScaledSource({"t": (stored, values)}), "t", asked), _by_torch(values, stored, asked), asked
    )


def test_all_bf16_patterns_that_fp16_holds_are_cast_as_torch_does() -> None:
    wide = (_ALL_PATTERNS.astype(np.uint32) << 16).view(np.float32)
    values = np.where(np.isfinite(wide) & (np.abs(wide) > _LARGEST_F16), np.uint16(0), _ALL_PATTERNS)
    ours = cast_rows(ScaledSource({"t": (Dtype.BF16, values)}), "t", Dtype.F16)
    _assert_same_bits(ours, _by_torch(values, Dtype.BF16, Dtype.F16), Dtype.F16)


_MANTISSAS = (0, 1, 0x7FFF, 0x8000, 0x8001, 0x17FFF, 0x18000, 0x18001, 0x7F7FFF, 0x7F8000, 0x7FFFFF)
_TIES = [sign << 31 | exponent << 23 | m for sign in (0, 1) for exponent in range(256) for m in _MANTISSAS]


def _assert_fp32_as_torch(bits: NDArray[np.uint32]) -> None:
    values = bits.view(np.float32)
    ours = cast_rows(ScaledSource({"t": (Dtype.F32, values)}), "t", Dtype.BF16)
    _assert_same_bits(ours, _by_torch(values, Dtype.F32, Dtype.BF16), Dtype.BF16)
    held = np.where(np.isfinite(values) & (np.abs(values) >= 65520), np.float32(0), values)
    ours = cast_rows(ScaledSource({"t": (Dtype.F32, held)}), "t", Dtype.F16)
    _assert_same_bits(ours, _by_torch(held, Dtype.F32, Dtype.F16), Dtype.F16)


def test_fp32_ties_infinities_and_nans_are_rounded_as_torch_does() -> None:
    _assert_fp32_as_torch(np.array(_TIES, np.uint32).reshape(512, -1))


@settings(max_examples=200)
@given(arrays(np.uint32, st.tuples(st.integers(1, 9), st.integers(1, 33))))
def test_any_fp32_pattern_is_rounded_as_torch_does(bits: NDArray[np.uint32]) -> None:
    _assert_fp32_as_torch(bits)


def test_every_bf16_nan_is_the_same() -> None:
    nans = np.array([[0x7F800001, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF]], np.uint32).view(np.float32)
    assert set(cast_rows(ScaledSource({"t": (Dtype.F32, nans)}), "t", Dtype.BF16).flat) == {0xFFFF}


@pytest.mark.parametrize("dtype", list(Dtype))
def test_a_tensor_of_the_format_asked_for_is_read_into_the_callers_rows(dtype: Dtype) -> None:
    values = np.arange(12).reshape(3, 4).astype(dtype.numpy)
    source = ScaledSource({"t": (dtype, values)})
    cast = CastSource(source, lambda name, info: info.dtype)
    out = np.empty((2, 4), dtype.numpy)
    cast.read_rows("t", 1, out)
    assert source.read_into[0] is out
    assert np.array_equal(out, values[1:])


@pytest.mark.parametrize("shape", [(), (7,), (5, 0), (0, 5), (3, 4, 5), (2, 200_000), (300_000,)])
def test_every_shape_is_cast(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    source = ScaledSource({"t": (Dtype.F32, np.asarray(values))})
    expected = np.asarray(values).astype(np.float16).reshape(source.tensors["t"].rows, source.tensors["t"].columns)
    assert np.array_equal(cast_rows(source, "t", Dtype.F16), expected)


@pytest.mark.parametrize(
    ("stored", "value"),
    [(Dtype.F32, 65520.0), (Dtype.F32, -65536.0), (Dtype.F32, 3e38), (Dtype.BF16, 65536.0), (Dtype.BF16, -1e38)],
)
def test_what_fp16_cannot_hold_is_named_with_its_row(stored: Dtype, value: float) -> None:
    values = np.full((70, 3000), 65504 if stored is Dtype.F32 else 65280, np.float32)
    values[66, 5], values[3, 1], values[4, 4] = value, np.inf, np.nan
    if stored is Dtype.BF16:
        values = (values.view(np.uint32) >> 16).astype(np.uint16)
    with pytest.raises(ConfigError, match=r"^t: -?[\d.e+]+ in row 66 is beyond fp16, whose largest number is 65504"):
        cast_rows(ScaledSource({"t": (stored, values)}), "t", Dtype.F16, first=1)


def test_infinities_stay_and_65519_is_rounded_down() -> None:
    values = np.array([[np.inf, -np.inf, 65519.9, -65519.9]], np.float32)
    assert cast_rows(ScaledSource({"t": (Dtype.F32, values)}), "t", Dtype.F16).tolist() == [
        [np.inf, -np.inf, 65504, -65504]
    ]


def test_nothing_becomes_fp8_and_all_such_tensors_are_named() -> None:
    source = ScaledSource({name: (Dtype.F32, np.zeros((2, 2), np.float32)) for name in ("a", "b")})
    with pytest.raises(ConfigError) as caught:
        CastSource(source, lambda name, info: Dtype.F8_E4M3)
    assert [problem[:9] for problem in caught.value.problems] == ["a: is F32", "b: is F32"]


def test_threads_share_nothing_they_write() -> None:
    values = np.random.default_rng(1).standard_normal((4000, 64)).astype(np.float32)
    cast = CastSource(ScaledSource({"t": (Dtype.F32, values)}), lambda name, info: Dtype.BF16)
    outs = [np.empty((1000, 64), "<u2") for _ in range(4)]

    def read(part: int) -> None:
        for _ in range(50):
            cast.read_rows("t", 1000 * part, outs[part])

    threads = [Thread(target=read, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(np.concatenate(outs), _by_torch(values, Dtype.F32, Dtype.BF16))


def test_working_memory_does_not_grow_with_the_rows_asked_for() -> None:
    codes = np.ones((6400, 2048), np.uint8)
    source = fp8_source(codes, np.ones((50, 16), np.float32))
    cast = CastSource(source, lambda name, info: Dtype.BF16)
    out = np.empty(codes.shape, "<u2")
    start()
    reset_peak()
    cast.read_rows("w", 0, out)
    peak_bytes = get_traced_memory()[1]
    stop()
    assert peak_bytes < 3e6
