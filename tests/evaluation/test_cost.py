"""The cost of a forward pass against what training is counted by."""

import json
from pathlib import Path

import pytest
from megatron_counter import megatron_counts

from harness.arch.model import model_arch
from harness.arch.parameters import published_parameters
from harness.config.megatron_args import MegatronArgs
from harness.evaluation.cost import computational_cost

FLAGS = json.loads((Path(__file__).parents[1] / "arch" / "published_flags.json").read_text())


@pytest.mark.parametrize("name", FLAGS)
def test_tflops_are_a_third_of_megatrons_own_count(name: str) -> None:
    args = MegatronArgs(FLAGS[name])
    cost = computational_cost(args, seq_len=4096, batch_size=8, tokens_per_s=2 * 8 * 4096.0, model=name)
    assert cost["tflops"] * 3e12 == pytest.approx(megatron_counts(args, 8), rel=1e-14)
    assert cost["tflops_per_s"] == pytest.approx(2 * cost["tflops"], rel=1e-14)
    assert cost["flops_per_token"]["megatron"] * 8 * 4096 == pytest.approx(cost["tflops"] * 1e12, rel=1e-14)


@pytest.mark.parametrize(("name", "total", "active"), [("Mixtral-8x7B", 46.7, 12.88), ("DeepSeek-V3", 671, 36.5)])
def test_parameters_are_those_published(name: str, total: float, active: float) -> None:
    args = MegatronArgs(FLAGS[name])
    cost = computational_cost(args, seq_len=64, batch_size=1, tokens_per_s=None, model=name)
    counted = published_parameters(model_arch(args, name))
    assert cost["total_params_billions"] * 1e9 == pytest.approx(counted.total)
    assert cost["active_params_billions"] * 1e9 == pytest.approx(counted.active)
    assert (cost["total_params_billions"], cost["active_params_billions"]) == pytest.approx((total, active), rel=3e-3)
    assert cost["tflops_per_s"] is None
    assert cost["convention"]["active_params"] == str(counted.active_counts)


def test_a_token_costs_two_operations_an_active_parameter() -> None:
    """The rule of thumb, by the convention that counts every product once; one token attends to itself alone."""
    args = MegatronArgs(FLAGS["Mixtral-8x7B"])
    cost = computational_cost(args, seq_len=1, batch_size=1, tokens_per_s=None)
    arch = model_arch(args)
    weights = cost["active_params_billions"] * 1e9 - arch.vocab_size * arch.hidden  # a look-up multiplies nothing
    assert cost["flops_per_token"]["model"] == pytest.approx(2 * weights, rel=1e-3)


def test_what_is_padded_is_carried_out_but_not_asked_for() -> None:
    args = MegatronArgs({**FLAGS["DeepSeek-V3"], "--tensor-model-parallel-size": "16"})
    arch = model_arch(args)
    per_token = computational_cost(args, seq_len=128, batch_size=2, tokens_per_s=None)["flops_per_token"]
    padding = arch.padded_vocab_size - arch.vocab_size
    assert padding > 0
    assert per_token["hardware"] - per_token["model"] == 2 * arch.hidden * padding * (1 + arch.mtp_layers)
