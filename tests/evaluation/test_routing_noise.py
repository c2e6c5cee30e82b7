"""The floors of uniform random routing, against routing at random; and the users' thresholds."""

import numpy as np
import pytest
from routing_samples import uniform_routing

from harness.evaluation.routing import balance
from harness.evaluation.routing.noise import UniformNoise, mean_max_vio
from harness.evaluation.routing.stats import routing_stats
from harness.evaluation.routing.thresholds import THRESHOLDS, rating

DRAWS = 200


@pytest.mark.parametrize(("tokens", "num_experts", "top_k"), [(500, 64, 6), (300, 8, 2), (2000, 32, 1), (400, 16, 12)])
def test_floors_are_what_routing_at_random_gives(tokens: int, num_experts: int, top_k: int) -> None:
    noise = UniformNoise(num_experts, top_k, tokens)
    draws = uniform_routing(tokens * DRAWS, num_experts, top_k).reshape(DRAWS, -1)
    loads = [np.bincount(draw, minlength=num_experts) for draw in draws]
    cvs = [balance.coefficient_of_variation(load) for load in loads]
    assert np.sqrt(np.mean(np.square(cvs))) == pytest.approx(noise.cv, rel=0.04)
    assert np.std(cvs) == pytest.approx(noise.cv_spread, rel=0.2)
    assert np.mean([balance.gini(load) for load in loads]) == pytest.approx(noise.gini, rel=0.05)
    assert np.mean([balance.max_vio(load) for load in loads]) == pytest.approx(noise.max_vio, rel=0.08)
    entropies = [balance.entropy(load) for load in loads]
    assert 1 - np.mean(entropies) == pytest.approx(1 - noise.entropy, rel=0.08)
    for ep in (1, 2, 4, num_experts):
        found = np.mean([balance.balancedness(load, ep)["mean_over_max"] for load in loads])
        assert found == pytest.approx(noise.balancedness(ep), abs=0.015)


@pytest.mark.parametrize(("tokens", "num_experts", "top_k"), [(10, 64, 6), (40, 64, 2), (3, 8, 1)])
def test_few_tokens_leave_experts_unused(tokens: int, num_experts: int, top_k: int) -> None:
    draws = uniform_routing(tokens * 2000, num_experts, top_k).reshape(2000, -1)
    found = np.mean([len(np.unique(draw)) / num_experts for draw in draws])
    assert found == pytest.approx(UniformNoise(num_experts, top_k, tokens).expert_utilization_rate, abs=0.01)


def test_the_noise_of_a_known_size() -> None:
    """0.14 at 64 experts, top 6, 500 tokens."""
    noise = UniformNoise(64, 6, 500)
    assert noise.cv == pytest.approx(0.139, abs=5e-4)
    assert noise.gini == pytest.approx(0.0778, abs=5e-5)
    assert UniformNoise(2, 1, 100).max_vio == pytest.approx(0.1 * np.sqrt(2) / np.sqrt(np.pi), rel=1e-4)


def test_routing_at_random_is_within_the_noise_nineteen_times_of_twenty() -> None:
    loads = [np.bincount(uniform_routing(300, 32, 4, seed).ravel(), minlength=32) for seed in range(DRAWS)]
    told = sum(UniformNoise(32, 4, 300).is_told_from(balance.coefficient_of_variation(load) or 0) for load in loads)
    assert 0 < told < DRAWS * 0.09


def test_one_expert_has_no_noise() -> None:
    noise = UniformNoise(1, 1, 10)
    assert (noise.cv, noise.gini, noise.max_vio, noise.entropy, noise.balancedness(1)) == (0, 0, 0, None, 1)
    assert noise.expert_utilization_rate == 1


def test_the_noise_of_micro_batches_is_larger_than_that_of_all() -> None:
    assert mean_max_vio(16, 2, [100, 100]) == pytest.approx(UniformNoise(16, 2, 100).max_vio)
    assert mean_max_vio(16, 2, [100, 100]) > UniformNoise(16, 2, 200).max_vio


def test_the_noise_of_words_is_what_words_at_random_give() -> None:
    ids = np.random.default_rng(5).integers(0, 300, 1000).astype(np.int32)
    asked = {"num_experts": 8, "batch_tokens": [1000], "groups": None, "ep": 1}
    layer = routing_stats({"layer_0": uniform_routing(1000, 8, 2)}, ids, **asked)["layer_0"]
    found, noise = layer["vocabulary_specialization"], layer["noise"]["vocabulary_specialization"]
    assert found["repeated_mean"] == pytest.approx(noise["repeated_mean"], abs=0.03)
    by_word = (ids % 8).astype(np.uint16)[:, None]
    layer = routing_stats({"layer_0": by_word}, ids, **asked)["layer_0"]
    assert layer["vocabulary_specialization"]["mean"] == 1
    assert layer["noise"]["vocabulary_specialization"]["mean"] < 0.6


@pytest.mark.parametrize(
    ("metric", "rated"),
    [
        ("gini_coefficient", {0.0: "excellent", 0.1: "good", 0.2: "good", 0.21: "fair", 0.3: "fair", 0.31: "poor"}),
        ("coefficient_of_variation", {0.19: "excellent", 0.2: "good", 0.4: "good", 0.5: "fair", 0.51: "poor"}),
        ("expert_utilization_rate", {1.0: "excellent", 0.95: "good", 0.8: "good", 0.79: "poor"}),
    ],
)
def test_the_users_thresholds(metric: str, rated: dict[float, str]) -> None:
    assert {value: rating(metric, value) for value in rated} == rated


def test_thresholds_as_users_write_them() -> None:
    assert THRESHOLDS["gini_coefficient"].text == "< 0.1 excellent, to 0.2 good, to 0.3 fair, > 0.3 poor"
    assert THRESHOLDS["expert_utilization_rate"].text == "> 0.95 excellent, to 0.8 good, < 0.8 poor"
