"""Flags that describe no network, or one that is not counted: each told by its name, and none where there is none."""

import pytest

from harness.arch.shape_problems import shape_problems
from harness.config.megatron_args import ArgValue, MegatronArgs

NETWORK: dict[str, ArgValue] = {
    "--num-layers": "4",
    "--hidden-size": "64",
    "--num-attention-heads": "8",
    "--vocab-size": "256",
    "--num-experts": "8",
    "--position-embedding-type": "rope",
}
NEEDED = ("--num-layers", "--hidden-size", "--num-attention-heads", "--vocab-size")
SIZES = (
    *(*NEEDED, "--ffn-hidden-size", "--kv-channels", "--num-query-groups", "--max-position-embeddings"),
    *("--q-lora-rank", "--kv-lora-rank", "--qk-head-dim", "--qk-pos-emb-head-dim", "--v-head-dim", "--num-experts"),
    *("--moe-ffn-hidden-size", "--moe-router-topk", "--moe-shared-expert-intermediate-size"),
    *("--moe-router-num-groups", "--moe-router-group-topk", "--padded-vocab-size", "--make-vocab-size-divisible-by"),
    "--tensor-model-parallel-size",
)


def problems(without: str = "", **changes: ArgValue) -> list[str]:
    named = {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return shape_problems(MegatronArgs({flag: it for flag, it in (NETWORK | named).items() if flag != without}))


def problems_of(flag: str, value: ArgValue) -> list[str]:
    return shape_problems(MegatronArgs({**NETWORK, flag: value}))


def test_a_whole_network_has_none() -> None:
    assert problems() == []


@pytest.mark.parametrize("flag", NEEDED)
def test_what_every_network_needs(flag: str) -> None:
    assert problems(without=flag) == [f"{flag} is missing: the network's shape needs it"]


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "two", "²"])
@pytest.mark.parametrize("flag", SIZES)
def test_what_is_no_size(flag: str, value: str) -> None:
    assert problems_of(flag, value) == [f"{flag} {value} is no size; write a whole number of 1 or more"]


@pytest.mark.parametrize("flag", SIZES)
def test_what_is_too_large_for_a_network(flag: str) -> None:
    most = 10_000 if flag == "--num-layers" else 10**8
    assert problems_of(flag, str(most + 1)) == [f"{flag} {most + 1} is too large; write {most:,} or less"]
    assert not any("too large" in problem for problem in problems_of(flag, str(most)))


def test_mtp_modules_may_be_none() -> None:
    assert problems_of("--mtp-num-layers", "0") == []
    assert problems_of("--mtp-num-layers", "-1") == [
        "--mtp-num-layers -1 is no size; write a whole number of 0 or more"
    ]


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--attention-output-gate", True),
        ("--experimental-attention-variant", "dsa"),
        ("--heterogeneous-layers-config-path", "/x.json"),
        ("--hybrid-layer-pattern", "M-M"),
        ("--moe-latent-size", "64"),
        ("--mtp-use-repeated-layer", True),
        ("--quick-geglu", True),
    ],
)
def test_what_is_not_counted_is_not_passed_over(flag: str, value: ArgValue) -> None:
    assert problems_of(flag, value) == [f"{flag} changes the network in a way that is not counted; leave it out"]
    assert problems_of(flag, False) == []


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"hidden_size": "60"}, True),
        ({"hidden_size": "60", "kv_channels": "8"}, False),
        ({"hidden_size": "60", "multi_latent_attention": True}, False),
        ({"group_query_attention": True, "num_query_groups": "3"}, True),
        ({"group_query_attention": True, "num_query_groups": "8"}, False),
        ({"num_query_groups": "3"}, False),
        ({"moe_router_topk": "8"}, False),
        ({"moe_router_topk": "9"}, True),
        ({"num_experts": "2"}, False),
        ({"num_experts": "1"}, True),  # Megatron's own top k is 2
        ({"padded_vocab_size": "256"}, False),
        ({"padded_vocab_size": "255"}, True),
        ({"position_embedding_type": "learned_absolute"}, True),
        ({"position_embedding_type": "learned_absolute", "max_position_embeddings": "64"}, False),
        ({"position_embedding_type": "learned_absolute", "use_rotary_position_embeddings": True}, False),
    ],
)
def test_flags_that_contradict_each_other(changes: dict[str, ArgValue], refused: bool) -> None:
    assert len(problems(**changes)) == refused


def test_positions_are_learned_unless_the_flags_say_otherwise() -> None:
    assert problems(without="--position-embedding-type") == [
        "--max-position-embeddings is missing: learned positions need it (or --position-embedding-type rope)"
    ]
