"""The GPU table and the names by which it is found."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from harness.arch.precision import Precision
from harness.cost.hardware import GPUS, Gpu, find_gpu
from harness.units import GIB, GIGA, TERA

PETA = 1000 * TERA


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


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A data sheet: peaks as printed for `gpus` of them, `sparse` or `dense`, and for one GPU how it is connected."""

    gpus: int = 1
    unit: float = TERA
    sparse: Sequence[str] = ()
    dense: Sequence[str] = ()
    gib: int
    tb_s: float
    domain: int
    nvlink_gb_s: float
    nic_gbit_s: float
    watts: float | None = None

    def peaks(self) -> list[float]:
        """Dense operations a second of one GPU: half of what is printed with 2:4 sparsity."""
        both = ((text, ways) for printed, ways in ((self.sparse, 2), (self.dense, 1)) for text in printed)
        return [float(text.replace(",", "")) * self.unit / self.gpus / ways for text, ways in both]


SHEETS = {
    "A100-40GB": Sheet(dense=("312",), gib=40, tb_s=1.555, domain=8, nvlink_gb_s=600, nic_gbit_s=200),
    "A100-80GB": Sheet(dense=("312",), gib=80, tb_s=2.039, domain=8, nvlink_gb_s=600, nic_gbit_s=200),
    "H100": Sheet(sparse=("1,979", "3,958"), gib=80, tb_s=3.35, domain=8, nvlink_gb_s=900, nic_gbit_s=400),
    "H100-PCIe": Sheet(sparse=("1,513", "3,026"), gib=80, tb_s=2.0, domain=2, nvlink_gb_s=600, nic_gbit_s=200),
    "H100-NVL": Sheet(sparse=("1,671", "3,341"), gib=94, tb_s=3.9, domain=2, nvlink_gb_s=600, nic_gbit_s=400),
    "H200": Sheet(sparse=("1,979", "3,958"), gib=141, tb_s=4.8, domain=8, nvlink_gb_s=900, nic_gbit_s=400),
    "H200-NVL": Sheet(sparse=("1,671", "3,341"), gib=141, tb_s=4.8, domain=4, nvlink_gb_s=900, nic_gbit_s=400),
    "B200": Sheet(
        gpus=8,
        unit=PETA,
        sparse=("36", "72", "144"),
        gib=180,
        tb_s=8,
        domain=8,
        nvlink_gb_s=1800,
        nic_gbit_s=400,
        watts=1000,
    ),
    "GB200": Sheet(
        gpus=72,
        unit=PETA,
        sparse=("360", "720", "1,440"),
        gib=186,
        tb_s=8,
        domain=72,
        nvlink_gb_s=1800,
        nic_gbit_s=400,
        watts=1200,
    ),
    "B300": Sheet(
        gpus=8,
        unit=PETA,
        sparse=("36", "72"),
        dense=("105",),
        gib=270,
        tb_s=8,
        domain=8,
        nvlink_gb_s=1800,
        nic_gbit_s=800,
        watts=1100,
    ),
    "GB300": Sheet(
        gpus=72,
        unit=PETA,
        sparse=("360", "720"),
        dense=("1,080",),
        gib=278,
        tb_s=8,
        domain=72,
        nvlink_gb_s=1800,
        nic_gbit_s=800,
        watts=1400,
    ),
    "MI300X": Sheet(dense=("1,307.4", "2,614.9"), gib=192, tb_s=5.3, domain=8, nvlink_gb_s=7 * 128, nic_gbit_s=400),
    "MI355X": Sheet(
        unit=PETA,
        dense=("2.5", "5.0", "10.1"),
        gib=288,
        tb_s=8,
        domain=8,
        nvlink_gb_s=7 * 153.6,
        nic_gbit_s=400,
    ),
}


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
def test_every_row_is_what_its_data_sheet_says(gpu: Gpu) -> None:
    sheet = SHEETS[gpu.name]
    printed = () if gpu.name.startswith("A100") else (*sheet.sparse, *sheet.dense)
    assert all(text in gpu.source for text in printed)
    peaks = [gpu.peak_flops[precision] for precision in ("bf16", "fp8", "fp4") if precision in gpu.peak_flops]
    assert peaks == pytest.approx(sheet.peaks(), rel=7e-3 if gpu.name == "MI355X" else 1e-9)  # 2.5 means 2,516.6
    assert gpu.hbm_bytes == sheet.gib * GIB
    assert gpu.hbm_bytes_per_s == pytest.approx(sheet.tb_s * TERA)
    assert gpu.nvlink_domain == sheet.domain
    assert gpu.nvlink_bytes_per_s == pytest.approx(sheet.nvlink_gb_s / 2 * GIGA)  # printed both ways
    assert gpu.nic_bytes_per_s == pytest.approx(sheet.nic_gbit_s / 8 * GIGA)


def test_blackwells_sustain_their_board_power_beside_that_of_gb200() -> None:
    per_flop = {name: sheet.watts / sheet.peaks()[0] for name, sheet in SHEETS.items() if sheet.watts}
    assert {gpu.name: gpu.sustained for gpu in GPUS if gpu.architecture == "Blackwell"} == {
        name: pytest.approx(watts / per_flop["GB200"]) for name, watts in per_flop.items()
    }
    assert {gpu.sustained for gpu in GPUS if gpu.architecture != "Blackwell"} == {1.0}


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
