"""Micro-batches in flight, against Megatron's own schedule functions and against what the paper of 1F1B says."""

import pytest

from harness.cost.in_flight import in_flight


@pytest.mark.parametrize(("rank", "microbatches", "held"), [(0, 16, 4), (3, 16, 1), (1, 16, 3), (0, 2, 2)])
def test_one_forward_one_backward(rank: int, microbatches: int, held: int) -> None:
    """Narayanan et al. (2021), PipeDream-Flush: as many as stages from here to the last."""
    assert in_flight(rank, 4, 1, microbatches, False) == ((held,),)


@pytest.mark.parametrize("rank", range(4))
@pytest.mark.parametrize("vpp", [2, 3])
def test_interleaved_holds_the_warm_up_and_one_more(rank: int, vpp: int) -> None:
    warmup = (4 - rank - 1) * 2 + (vpp - 1) * 4
    assert {sum(held) for held in in_flight(rank, 4, vpp, 32, False)} == {warmup + 1}


def test_the_first_rank_warms_up_with_the_early_stages() -> None:
    """PP=4, VPP=2: 4 of the first stage, 4 of the second, 2 of the first again, and then one more."""
    assert in_flight(0, 4, 2, 32, False)[0] == (7, 4)


def test_overlapped_all_to_all_warms_up_by_one_more_and_then_trades() -> None:
    assert {sum(held) for held in in_flight(2, 4, 2, 32, True)} == {2 + 4 + 1}


def test_few_micro_batches_are_all_in_flight() -> None:
    assert max(in_flight(0, 4, 2, 4, False)) == (4, 4)
