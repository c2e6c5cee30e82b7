"""FP8 blocks against torch: dequantised in fp32, then rounded once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scaled_source import ScaledSource, cast_rows, fp8_source

from ckpt_convert.cast import CastSource
from ckpt_convert.tensors import Dtype, Rows, TensorInfo, TensorSource
from harness.errors import ConfigError

torch = pytest.importorskip("torch")

_TORCH = {Dtype.BF16: torch.bfloat16, Dtype.F16: torch.float16, Dtype.F32: torch.float32}
_NUMBERS = np.array([code for code in range(256) if code & 0x7F != 0x7F], np.uint8)
_SCALES = [
    *(2.0**power for power in (-149, -140, -133, -127, -126, -20, 0, 1, 6, 7, 8, 100, 118, 119, 127)),
    1e-4, 3.0e-4, 0.1, 1 / 3, 127.99999, 128.00002, 255.9, 256.1, 7e5, 3.4e38, 0.0, -0.0, -1e-4, -300.0, 1.1754942e-38,
]  # fmt: skip


def _by_torch(codes: NDArray, scales: NDArray, block: tuple[int, int], asked: Dtype) -> NDArray:
    rows, columns = codes.shape
    spread = np.repeat(np.repeat(scales, block[0], 0), block[1], 1)[:rows, :columns]
    wide = torch.from_numpy(codes).view(torch.float8_e4m3fn).to(torch.float32) * torch.from_numpy(spread)
    return wide.to(_TORCH[asked]).view(torch.uint8).numpy().view(asked.numpy)


def _random(seed: int, rows: int, columns: int, block: tuple[int, int]) -> tuple[NDArray, NDArray]:
    """Codes and scales as training leaves them."""
    rng = np.random.default_rng(seed)
    grid = (-(-rows // block[0]), -(-columns // block[1]))
    return rng.choice(_NUMBERS, (rows, columns)), np.exp(rng.normal(-9, 2, grid)).astype(np.float32)


@pytest.mark.parametrize("asked", [Dtype.BF16, Dtype.F32])
def test_every_code_times_every_kind_of_scale(asked: Dtype) -> None:
    """Among them subnormal and infinite products, scales beyond 2⁷ and of either sign of zero."""
    codes = np.tile(_NUMBERS, (len(_SCALES), 1))
    scales = np.array(_SCALES, np.float32)[:, None]
    block = (1, len(_NUMBERS))
    ours = cast_rows(fp8_source(codes, scales, block), "w", asked)
    theirs = _by_torch(codes, scales, block, asked)
    assert np.array_equal(ours.view(f"u{asked.itemsize}"), theirs.view(f"u{asked.itemsize}"))


@settings(max_examples=300)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_every_code_times_any_scale(scales: list[float]) -> None:
    """Scales beside each other in one row of blocks."""
    codes = np.tile(_NUMBERS, (1, len(scales)))
    row = np.array([scales], np.float32)
    block = (1, len(_NUMBERS))
    ours = cast_rows(fp8_source(codes, row, block), "w", Dtype.BF16)
    assert np.array_equal(ours, _by_torch(codes, row, block, Dtype.BF16))


def test_ties_go_to_even() -> None:
    """A scale of 9 bits makes products that lie just between two numbers of bf16."""
    scales = (np.arange(256, 512, dtype=np.float32) * 2.0**-20)[None, :]
    codes = np.tile(_NUMBERS, (1, 256))
    block = (1, len(_NUMBERS))
    ours = cast_rows(fp8_source(codes, scales, block), "w", Dtype.BF16)
    assert np.array_equal(ours, _by_torch(codes, scales, block, Dtype.BF16))


@pytest.mark.parametrize("asked", [Dtype.BF16, Dtype.F16, Dtype.F32])
def test_half_blocks(asked: Dtype) -> None:
    """kv_a_proj_with_mqa of DeepSeek-V3 has 576 rows, four blocks and a half."""
    codes, scales = _random(0, 576, 7168, (128, 128))
    ours = cast_rows(fp8_source(codes, scales), "w", asked)
    assert np.array_equal(ours, _by_torch(codes, scales, (128, 128), asked))


@settings(max_examples=100)
@given(st.data())
def test_any_rows_of_any_blocks(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    block = data.draw(st.tuples(st.integers(1, 16), st.integers(1, 16)))
    first = data.draw(st.integers(0, rows))
    count = data.draw(st.integers(0, rows - first))
    codes, scales = _random(rows * columns, rows, columns, block)
    ours = cast_rows(fp8_source(codes, scales, block), "w", Dtype.BF16, first, count)
    assert np.array_equal(ours, _by_torch(codes, scales, block, Dtype.BF16)[first : first + count])


def test_rows_beyond_one_read_and_one_tile() -> None:
    codes, scales = _random(3, 700, 3000, (128, 128))
    ours = cast_rows(fp8_source(codes, scales), "w", Dtype.BF16, 130, 569)
    assert np.array_equal(ours, _by_torch(codes, scales, (128, 128), Dtype.BF16)[130:699])


@pytest.mark.parametrize("code", [0x7F, 0xFF])
def test_a_nan_code_is_named_with_its_row(code: int) -> None:
    codes, scales = _random(4, 300, 4000, (128, 128))
    codes[277, 3999] = code
    with pytest.raises(ConfigError, match=r"^w: row 277 holds an FP8 code that is no number"):
        cast_rows(fp8_source(codes, scales), "w", Dtype.BF16, first=5)


@pytest.mark.parametrize("scale", [np.nan, np.inf, -np.inf])
def test_a_scale_that_is_no_number_is_named_with_its_block(scale: float) -> None:
    codes, scales = _random(5, 300, 300, (128, 128))
    scales[2, 1] = scale
    with pytest.raises(ConfigError, match=r"^w_scale_inv: the scale of block \(2, 1\) is (nan|-?inf), not a finite"):
        cast_rows(fp8_source(codes, scales), "w", Dtype.BF16)


def test_a_product_beyond_fp16_is_named() -> None:
    codes = np.full((4, 4), 0x7E, np.uint8)  # 448
    with pytest.raises(ConfigError, match=r"^w: 89600 in row 0 is beyond fp16"):
        cast_rows(fp8_source(codes, np.array([[200]], np.float32)), "w", Dtype.F16)


def test_scales_are_no_tensors_of_the_cast_unless_the_weight_stays_fp8() -> None:
    codes, scales = _random(6, 4, 4, (128, 128))
    source = ScaledSource(
        {
            "w": (Dtype.F8_E4M3, codes),
            "w_scale_inv": (Dtype.F32, scales),
            "norm": (Dtype.F32, np.ones(4, np.float32)),
            "norm_scale_inv": (Dtype.F32, np.ones(1, np.float32)),
        }
    )
    dequantised = CastSource(source, lambda name, info: Dtype.BF16)
    assert dequantised.tensors == {
        "w": TensorInfo(dtype=Dtype.BF16, shape=(4, 4)),
        "norm": TensorInfo(dtype=Dtype.BF16, shape=(4,)),
        "norm_scale_inv": TensorInfo(dtype=Dtype.BF16, shape=(1,)),
    }
    assert CastSource(source, lambda name, info: info.dtype).tensors == source.tensors


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        (None, "w: is FP8, but its scales, w_scale_inv, are missing"),
        ((Dtype.F32, np.ones((2, 3), np.float32)), "w_scale_inv: F32 (2, 3) does not scale FP8 (300, 300)"),
        ((Dtype.F32, np.ones(9, np.float32)), "of 128 × 128 (weight_block_size in config.json) needs F32 (3, 3)"),
        ((Dtype.BF16, np.ones((3, 3), np.uint16)), "w_scale_inv: BF16 (3, 3) does not scale"),
    ],
)  # fmt: skip
def test_scales_that_do_not_fit_are_refused_before_a_row_is_read(
    scales: tuple[Dtype, NDArray] | None, message: str
) -> None:
    tensors = {"w": (Dtype.F8_E4M3, np.zeros((300, 300), np.uint8))} | ({"w_scale_inv": scales} if scales else {})
    with pytest.raises(ConfigError) as caught:
        CastSource(ScaledSource(tensors), lambda name, info: Dtype.BF16)
    assert message in str(caught.value)


def test_fp8_of_a_source_that_knows_no_scales_is_refused() -> None:
    class Plain(TensorSource):
        tensors = {"w": TensorInfo(dtype=Dtype.F8_E4M3, shape=(4, 4))}  # noqa: RUF012

        def read_rows(self, name: str, first: int, out: Rows) -> None:
            raise NotImplementedError

    with pytest.raises(ConfigError, match=r"^w: is FP8, whose scales only a Hugging Face folder holds"):
        CastSource(Plain(), lambda name, info: Dtype.BF16)
