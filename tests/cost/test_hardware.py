"""The GPU table and the names by which it is found."""

import pytest

from harness.arch.precision import Precision
from harness.cost.hardware import GPUS, find_gpu


@pytest.mark.parametrize(
    ("cuda_name", "name"),
    [
        ("NVIDIA A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA A100-SXM4-40GB", "A100-40GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100-PCIe"),
        ("NVIDIA H100 NVL", "H100-NVL"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA B200", "B200"),
        ("NVIDIA GB200", "GB200"),
        ("NVIDIA B300 SXM6 AC", "B300"),
        ("NVIDIA GB300", "GB300"),
        ("h100", "H100"),
    ],
)
def test_names_that_cuda_reports(cuda_name: str, name: str) -> None:
    gpu = find_gpu(cuda_name)
    assert gpu is not None
    assert gpu.name == name


@pytest.mark.parametrize(
    "name", ["", "cpu", "NVIDIA GeForce RTX 4090", "Tesla V100-SXM2-32GB", "NVIDIA B200 PCIe", "H1000"]
)
def test_unknown_names_have_no_peak(name: str) -> None:
    assert find_gpu(name) is None


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
def test_every_row_is_found_by_its_own_name_and_has_a_source(gpu) -> None:  # type: ignore[no-untyped-def]
    assert find_gpu(gpu.name) is gpu
    assert "data sheet" in gpu.source


def test_peaks_by_precision() -> None:
    h200, a100, gb300 = find_gpu("NVIDIA H200"), find_gpu("A100"), find_gpu("GB300")
    assert h200 and a100 and gb300
    assert h200.peak(Precision.BF16) == h200.peak(Precision.FP16) == 989.5e12
    assert h200.peak(Precision.MXFP8) == h200.peak(Precision.FP8_BLOCKWISE) == 1979e12
    assert a100.peak(Precision.FP8_DELAYED) is None
    assert gb300.peak(Precision.NVFP4) == 15e15


def test_the_peak_of_fp32_is_that_of_tf32_where_there_is_tf32() -> None:
    """Dense TF32 of the data sheets (half of what they print with sparsity); MI355X multiplies in fp32 itself."""
    printed = {"A100": 156e12, "H100": 989e12 / 2, "H100 PCIe": 756e12 / 2, "GB200": 1.25e15, "MI300X": 653.7e12}
    for name, tf32 in (printed | {"MI355X": 157.3e12}).items():
        gpu = find_gpu(name)
        assert gpu is not None
        assert gpu.peak(Precision.FP32) == pytest.approx(tf32, rel=2e-3)
