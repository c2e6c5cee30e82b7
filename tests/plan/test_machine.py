"""The GPU that a configuration names, and what its cluster conf says otherwise."""

import pytest
from planned import planned

from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.plan.machine import OVERRIDES, known_machine, machine
from harness.units import GIB


def resolve(*words: str) -> Resolved:
    return planned("MODEL=DeepSeek-V2-Lite", *words)


def test_the_data_sheet_holds_where_nobody_says_otherwise() -> None:
    gpu = machine(resolve("GPU=H100"))
    assert (gpu.name, gpu.hbm_bytes, gpu.nvlink_domain) == ("H100", 80 * GIB, 8)


def test_every_override_replaces_its_field_and_says_so() -> None:
    words = {name: str(index) for index, name in enumerate(OVERRIDES, start=1)}
    gpu = machine(resolve("GPU=H100", *(f"{name}={value}" for name, value in words.items())))
    found = {
        "HBM_GB": gpu.hbm_bytes / GIB,
        "HBM_TB_S": gpu.hbm_bytes_per_s / 1e12,
        "NVLINK_DOMAIN": gpu.nvlink_domain,
        "NVLINK_GB_S": gpu.nvlink_bytes_per_s / 1e9,
        "NIC_GB_S": gpu.nic_bytes_per_s / 1e9,
        "BF16_TFLOPS": gpu.peak_flops["bf16"] / 1e12,
        "FP8_TFLOPS": gpu.peak_flops["fp8"] / 1e12,
        "FP4_TFLOPS": gpu.peak_flops["fp4"] / 1e12,
    }
    assert found == pytest.approx({name: float(value) for name, value in words.items()})
    assert all(f"{name}={value} (command line)" in gpu.source for name, value in words.items())


@pytest.mark.parametrize("name", [name for name in OVERRIDES if name != "NVLINK_DOMAIN"])
@pytest.mark.parametrize("value", ["nan", "inf", "0", "-1", "many"])
def test_what_is_no_positive_number_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}='{value}' is not allowed; allowed here: a number from 0.001 to 1e"):
        resolve(f"{name}={value}")


def test_a_gpu_must_be_named_and_known() -> None:
    with pytest.raises(ConfigError, match="GPU is not set; set GPU=NAME, one of: A100-40GB, "):
        machine(resolve())
    with pytest.raises(ConfigError, match=r"command line: GPU=H101: no such GPU; did you mean H100 or "):
        machine(resolve("GPU=H101"))


def test_a_job_on_cpu_has_no_gpu() -> None:
    assert known_machine(resolve("GPU=H100", "DEVICE=cpu")) is None
    assert known_machine(resolve()) is None
