"""The figures of each router, against plain counts in Python and cases known by heart."""

import math
import statistics
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from routing_samples import uniform_routing

from harness.errors import ConfigError
from harness.evaluation.routing import assignments
from harness.evaluation.routing.assignments import DROPPED
from harness.evaluation.routing.co_activation import pair_counts
from harness.evaluation.routing.saturation import saturation
from harness.evaluation.routing.stats import Figures, routing_stats


@st.composite
def routed(draw: st.DrawFn) -> tuple[NDArray[np.uint16], NDArray[np.int32], int, list[int]]:
    """Experts with a few dropped, ids of the tokens, the number of experts and the sizes of micro-batches."""
    num_experts = draw(st.sampled_from([4, 6, 8]))
    top_k = draw(st.integers(1, num_experts))
    batches = draw(st.lists(st.integers(0, 8), min_size=1, max_size=5))
    chosen = st.permutations(range(num_experts)).map(lambda order: order[:top_k])
    rows = [draw(chosen) for _ in range(sum(batches))]
    experts = np.array(rows, np.uint16).reshape(-1, top_k)
    for place in draw(st.sets(st.integers(0, max(0, experts.size - 1)), max_size=3)) if experts.size else ():
        experts.flat[place] = DROPPED
    ids = np.array(draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))), np.int32)
    return experts, ids, num_experts, batches


def stats(
    experts: NDArray[np.uint16], num_experts: int, *, ids: NDArray[np.int32] | None = None, ep: int = 1
) -> Figures:
    """The figures of one layer, of one micro-batch."""
    token_ids = np.zeros(len(experts), np.int32) if ids is None else ids
    asked = {"num_experts": num_experts, "batch_tokens": [len(experts)], "groups": None, "ep": ep}
    found: Figures = routing_stats({"layer_0": experts}, token_ids, **asked)["layer_0"]
    return found


@given(routed())
def test_balance_is_what_plain_counting_gives(
    case: tuple[NDArray[np.uint16], NDArray[np.int32], int, list[int]],
) -> None:
    experts, ids, num_experts, batches = case
    asked = {"num_experts": num_experts, "batch_tokens": batches, "groups": 2, "ep": 2}
    found = routing_stats({"layer_0": experts}, ids, **asked)["layer_0"]
    counted = Counter(int(expert) for expert in experts.flat if expert != DROPPED)
    load = [counted[expert] for expert in range(num_experts)]
    half = num_experts // 2
    assert found["tokens_per_expert"] == load
    assert found["dropped_assignments"] == experts.size - sum(load)
    assert found["dead_experts"] == load.count(0)
    assert found["expert_utilization_rate"] == pytest.approx(1 - load.count(0) / num_experts)
    assert found["tokens_per_group"] == found["balancedness"]["tokens_per_rank"] == [sum(load[:half]), sum(load[half:])]
    if not any(load):
        assert found["gini_coefficient"] is found["entropy"] is found["max_vio"] is found["noise"] is None
        return
    mean = statistics.fmean(load)
    apart = sum(abs(one - other) for one in load for other in load)
    shares = [tokens / sum(load) for tokens in load if tokens]
    assert found["mean_tokens_per_expert"] == pytest.approx(mean)
    assert found["gini_coefficient"] == pytest.approx(apart / (2 * num_experts**2 * mean))
    assert found["coefficient_of_variation"] == pytest.approx(statistics.pstdev(load) / mean)
    assert found["max_over_mean"] == pytest.approx(max(load) / mean)
    assert found["max_vio"] == pytest.approx((max(load) - mean) / mean)
    assert found["entropy"] == pytest.approx(-sum(share * math.log(share, num_experts) for share in shares))
    ranks = found["balancedness"]["tokens_per_rank"]
    assert found["balancedness"]["mean_over_max"] == pytest.approx(statistics.fmean(ranks) / max(ranks))
    assert found["max_vio_batch"] == pytest.approx(plain_max_vio(experts, num_experts, batches))


def plain_max_vio(experts: NDArray[np.uint16], num_experts: int, batches: list[int]) -> dict[str, float]:
    """Over the micro-batches to which anything was assigned."""
    found, start = [], 0
    for tokens in batches:
        counted = Counter(int(it) for it in experts[start : start + tokens].flat if it != DROPPED)
        start += tokens
        if counted:
            mean = counted.total() / num_experts
            found.append((max(counted.values()) - mean) / mean)
    return {"mean": statistics.fmean(found), "max": max(found)}


@given(routed(), st.integers(1, 20))
def test_pairs_and_words_are_what_plain_counting_gives(
    case: tuple[NDArray[np.uint16], NDArray[np.int32], int, list[int]], block: int
) -> None:
    experts, ids, num_experts, _ = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assignments.token_blocks, "__defaults__", (block,))
        found = stats(experts, num_experts, ids=ids)
    rows = [[int(expert) for expert in row if expert != DROPPED] for row in experts]
    pairs = Counter(pair for row in rows for pair in permutations(row, 2))
    load = found["tokens_per_expert"]
    assert load == [sum(row.count(expert) for row in rows) for expert in range(num_experts)]
    if experts.shape[1] == 1:
        assert found["co_activation"] is None
    else:
        for a, row in enumerate(found["co_activation"]["matrix"]):
            wanted = [1.0 if a == b else pairs[a, b] / load[a] for b in range(num_experts)] if load[a] else None
            assert row == (pytest.approx(wanted, abs=1e-6) if wanted else [None] * num_experts)
    words: dict[int, Counter[int]] = {}
    for row, word in zip(experts, ids, strict=True):
        if row[0] != DROPPED:
            words.setdefault(int(word), Counter())[int(row[0])] += 1
    repeated = [of for of in words.values() if of.total() > 1]
    assert found["vocabulary_specialization"] == {
        "mean": plain_share(list(words.values())),
        "repeated_mean": plain_share(repeated),
        "token_ids": len(words),
        "repeated_token_ids": len(repeated),
    }


def plain_share(words: list[Counter[int]]) -> float | None:
    """Of all their tokens, those in the most frequent expert of their word."""
    return sum(max(of.values()) for of in words) / sum(of.total() for of in words) if words else None


def test_equal_loads_have_no_inequality() -> None:
    found = stats(np.arange(32, dtype=np.uint16).reshape(8, 4) % 8, 8, ep=4)
    assert found["gini_coefficient"] == found["coefficient_of_variation"] == found["max_vio"] == 0
    assert found["entropy"] == pytest.approx(1)
    assert found["balancedness"] == {"ep": 4, "tokens_per_rank": [8, 8, 8, 8], "mean_over_max": 1}


def test_one_expert_that_has_all_is_the_most_unequal() -> None:
    found = stats(np.full((10, 1), 3, np.uint16), 8)
    assert found["gini_coefficient"] == 7 / 8
    assert found["coefficient_of_variation"] == pytest.approx(math.sqrt(7))
    assert (found["max_over_mean"], found["max_vio"], found["entropy"], found["dead_experts"]) == (8, 7, 0, 7)


def test_where_every_expert_is_chosen_nothing_is_chance() -> None:
    found = stats(np.tile(np.arange(4, dtype=np.uint16), (10, 1)), 4)
    assert found["noise"]["cv"] == found["noise"]["gini"] == found["coefficient_of_variation"] == 0
    assert found["too_few_tokens"] is False


def test_mtp_layers_are_kept_apart() -> None:
    even, one = np.arange(400, dtype=np.uint16)[:, None] % 4, np.zeros((400, 1), np.uint16)
    layers = {"layer_1": even, "layer_3": one, "mtp_0": one}
    asked = {"num_experts": 4, "batch_tokens": [400], "groups": None, "ep": 1}
    found = routing_stats(layers, np.zeros(400, np.int32), **asked)
    assert found["mtp_0"] == found["layer_3"]
    aggregate = found["aggregate"]
    assert (aggregate["layers"], aggregate["tokens"]) == (2, 400)
    assert aggregate["avg_gini_coefficient"] == 0.75 / 2
    assert aggregate["avg_coefficient_of_variation"] == pytest.approx(math.sqrt(3) / 2)
    assert aggregate["avg_expert_utilization_rate"] == (1 + 0.25) / 2


def test_a_network_without_routers_has_no_routing() -> None:
    ids = np.zeros(3, np.int32)
    assert routing_stats({}, ids, num_experts=4, batch_tokens=[3], groups=None, ep=1) == {}


def test_fewer_tokens_than_tell_anything_are_said() -> None:
    """Loads that chance alone makes as unequal tell nothing; the same shares of many more tokens do."""
    few = uniform_routing(100, 16, 2)
    many = np.tile(few, (20, 1))
    assert stats(few, 16)["too_few_tokens"]
    assert stats(many, 16)["coefficient_of_variation"] == pytest.approx(stats(few, 16)["coefficient_of_variation"])
    assert not stats(many, 16)["too_few_tokens"]


def test_of_many_experts_the_strongest_pairs_are_written() -> None:
    experts = uniform_routing(2000, 128, 4)
    experts[:1000, :2] = 5, 9
    experts[1000:1400, 2:] = 77, 30
    load = stats(experts, 128)["tokens_per_expert"]
    together = pair_counts(experts, 128)
    found = stats(experts, 128)["co_activation"]
    assert len(found["pairs"]) == 32
    first = found["pairs"][0]
    assert {first["a"], first["b"]} in ({5, 9}, {77, 30})
    for pair in found["pairs"]:
        assert pair["tokens"] == together[pair["a"], pair["b"]]
        assert pair["share"] == pytest.approx(pair["tokens"] / load[pair["a"]], abs=1e-6)
        assert load[pair["a"]] >= found["least_tokens"]


def test_an_expert_of_a_word_or_two_is_no_first_of_a_pair() -> None:
    experts = uniform_routing(5000, 99, 2)
    experts[0] = 99, 3
    found = stats(experts, 100)["co_activation"]
    assert all(pair["a"] != 99 for pair in found["pairs"])


def test_divisors_are_named_where_ep_and_groups_do_not_divide() -> None:
    with pytest.raises(ConfigError) as refused:
        routing_stats(
            {"layer_0": uniform_routing(4, 6, 2)},
            np.zeros(4, np.int32),
            num_experts=6,
            batch_tokens=[4],
            groups=5,
            ep=4,
        )
    assert refused.value.problems == (
        "routing: EP is 4, which does not divide 6 experts; use one of 1, 2, 3, 6",
        "routing: the number of groups is 5, which does not divide 6 experts; use one of 1, 2, 3, 6",
    )


@pytest.mark.parametrize(
    ("tokens", "batches", "num_experts", "what"),
    [
        (5, [4], 8, "layer_2: experts of 4 tokens, ids of 5"),
        (4, [3], 8, "layer_2: 4 tokens in batches of 3"),
        (4, [4], 7, "layer_2: expert 7 of 7"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(
    tokens: int, batches: list[int], num_experts: int, what: str
) -> None:
    experts = np.array([[0, 7]] * 4, np.uint16)
    asked = {"num_experts": num_experts, "batch_tokens": batches, "groups": None, "ep": 1}
    with pytest.raises(ValueError, match=what):
        routing_stats({"layer_2": experts}, np.zeros(tokens, np.int32), **asked)


@given(st.integers(1, 5), st.integers(0, 40), st.integers(0, 9))
def test_saturation_is_what_sets_give(top_k: int, tokens: int, seed: int) -> None:
    early, last = (uniform_routing(tokens, 8, top_k, seed=it) for it in (seed, seed + 10))
    early[1:2, 0] = last[1:2, 0] = DROPPED
    common = [len({*one} & {*other} - {DROPPED}) for one, other in zip(early.tolist(), last.tolist(), strict=True)]
    wanted = statistics.fmean(common) / top_k if tokens else None
    assert saturation({"layer_0": early}, {"layer_0": last}) == {"layer_0": pytest.approx(wanted)}


def test_saturation_of_unlike_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="unlike tokens"):
        saturation({"layer_0": uniform_routing(4, 8, 2)}, {"layer_0": uniform_routing(5, 8, 2)})
