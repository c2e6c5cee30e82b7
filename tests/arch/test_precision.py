"""Precision: what the flags ask for, what a record keeps of it, and what a record is read as."""

import pytest

from harness.arch.precision import Precision, asked_precision, recorded_precision
from harness.config.megatron_args import ArgValue, MegatronArgs

FP8 = {"--bf16": True, "--fp8-format": "hybrid"}


@pytest.mark.parametrize(
    ("flags", "precision", "recorded"),
    [
        ({}, Precision.FP32, "fp32"),
        ({"--fp16": True}, Precision.FP16, "fp16"),
        ({"--bf16": True}, Precision.BF16, "bf16"),
        (FP8, Precision.FP8_DELAYED, "fp8"),
        (FP8 | {"--fp8-recipe": "tensorwise"}, Precision.FP8_TENSORWISE, "fp8"),
        (FP8 | {"--fp8-recipe": "blockwise"}, Precision.FP8_BLOCKWISE, "fp8"),
        (FP8 | {"--fp8-recipe": "mxfp8"}, Precision.MXFP8, "mxfp8"),
        (FP8 | {"--fp4-format": "e2m1"}, Precision.NVFP4, "nvfp4"),
    ],
)
def test_what_the_flags_ask_for(flags: dict[str, ArgValue], precision: Precision, recorded: str) -> None:
    found = asked_precision(MegatronArgs(flags))
    assert found is precision
    assert found.recorded == recorded


@pytest.mark.parametrize("precision", Precision)
def test_a_record_is_read_as_a_precision_of_the_same_peak(precision: Precision) -> None:
    read = recorded_precision(precision.recorded)
    assert read is not None
    assert (read.recorded, read.number_format) == (precision.recorded, precision.number_format)


def test_a_name_that_no_record_has() -> None:
    assert recorded_precision("int4") is None
