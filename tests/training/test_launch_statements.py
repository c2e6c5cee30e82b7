"""What nodes, Megatron, NCCL and the engine state of a launch, in one; and what a restart makes of it."""

import json
from pathlib import Path
from typing import Any

from harness.runs.json_codec import decode, encode
from harness.training.effective import InEffect, Mixture, Setup
from harness.training.log.parser import LogParser

LOGS = Path(__file__).parents[1] / "fixtures" / "logs"
DUMP = (LOGS / "arguments-0.18.log").read_text().splitlines()
TRAINED = (LOGS / "megatron-0.18.log").read_text().splitlines()[1:]  # without the sizes of its own
H100 = "NVIDIA H100 80GB HBM3"
VERSIONS = {"torch": "2.8.0", "transformer_engine": "2.9.0", "nccl": "2.27.3", "cuda": None, "python": "3.12.3"}
NCCL = "node1:4711:4711 [0] NCCL INFO NCCL version 2.27.5+cuda12.9"
ENGINE = {
    "world_size": 4, "tp": 1, "dispatcher": "alltoall", "precision": "bf16", "grouped_gemm": True, "device": "cuda",
    "versions": {"torch": "2.15.0", "nccl": None}, "hosts": ["node9"], "gpu": H100, "flops_per_step": 1e12,
}  # fmt: skip


def node(host: str, *, gpus: Any = (H100,) * 8, driver: Any = "550.54.15", **versions: Any) -> str:
    """One node's statement, with other versions than usual where they are given."""
    said = {"host": host, "gpus": gpus, "driver": driver, "versions": {**VERSIONS, **versions}}
    return "moe-harness: node " + json.dumps(said)


def stated(*lines: str) -> InEffect:
    parser = LogParser()
    for line in lines:
        parser.feed(line)
    found = parser.log().in_effect
    assert found is not None
    return found


def dumped(*changes: tuple[str, str], prefix: str = "0: ") -> list[str]:
    """The sizes and the dump of 32 ranks, changed."""
    text = "\n".join(DUMP)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return [prefix + line for line in text.split("\n")]


def test_a_job_of_megatrons_own_is_told_by_its_nodes_its_dump_and_nccl() -> None:
    found = stated("8: " + node("node2"), "0: " + node("node1"), *dumped(), "0: " + NCCL, *TRAINED)
    assert found.setup.world_size == 32
    assert found.setup.dispatcher == "flex:deepep"
    assert (found.hosts, found.gpu, found.device) == (("node1", "node2"), H100, "cuda")
    assert found.versions == {
        "torch": "2.8.0",
        "transformer_engine": "2.9.0",
        "nccl": "2.27.5",  # what runs, not what its package says
        "python": "3.12.3",
        "driver": "550.54.15",
    }
    assert (found.mixed, found.flops_per_step) == ((), None)


def test_the_engines_word_counts_where_it_has_one() -> None:
    found = stated(node("node1"), *dumped(), NCCL, "0: moe-harness: in effect " + json.dumps(ENGINE))
    assert (found.setup.world_size, found.setup.tp, found.setup.pp) == (4, 1, 2)
    assert (found.setup.dispatcher, found.setup.precision) == ("alltoall", "bf16")
    assert (found.hosts, found.gpu, found.flops_per_step) == (("node9",), H100, 1e12)
    assert (found.versions["torch"], found.versions["nccl"], found.versions["driver"]) == (
        "2.15.0",
        "2.27.5",
        "550.54.15",
    )


def test_nodes_that_differ_are_told_and_no_one_value_is_claimed() -> None:
    a100 = ["NVIDIA A100-SXM4-80GB"] * 8
    found = stated(
        node("node3", gpus=a100, driver="570.86.10", torch="2.7.1"),
        node("node1"),
        node("node2"),
        node("node4", gpus=[]),
    )
    assert found.hosts == ("node1", "node2", "node3", "node4")
    assert found.gpu is None
    assert found.versions == {"transformer_engine": "2.9.0", "nccl": "2.27.3", "python": "3.12.3"}
    assert [str(it) for it in found.mixed] == [
        "GPUs: 8 × NVIDIA H100 80GB HBM3 on node1, node2; 8 × NVIDIA A100-SXM4-80GB on node3; no GPU on node4",
        "driver: 550.54.15 on node1, node2, node4; 570.86.10 on node3",
        "torch: 2.8.0 on node1, node2, node4; 2.7.1 on node3",
    ]
    assert decode(InEffect, json.loads(json.dumps(encode(found)))) == found


def test_fewer_gpus_on_a_node_are_told_though_the_name_is_the_same() -> None:
    found = stated(node("node1"), node("node2", gpus=[H100] * 7))
    assert found.gpu == H100
    assert [str(it) for it in found.mixed] == [f"GPUs: 8 × {H100} on node1; 7 × {H100} on node2"]


def test_an_attempt_that_died_before_it_trained_leaves_no_hosts_to_the_next() -> None:
    first = ("moe-harness: attempt 0", node("node1"), node("node2"))
    assert stated(*first, "moe-harness: attempt 1", node("node1"), node("node3")).hosts == ("node1", "node3")
    assert stated(*first, "moe-harness: attempt 1").hosts == ("node1", "node2")


def test_of_many_hosts_the_first_are_named() -> None:
    many = Mixture(name="driver", hosts={"2": ("a",), "1": ("b", "c", "d", "e", "f")})
    assert str(many) == "driver: 1 on b, c, d and 2 more; 2 on a"


def test_what_a_node_leaves_unsaid_is_not_compared() -> None:
    found = stated(node("node1"), 'moe-harness: node {"host": "node2", "gpus": null, "driver": 5, "versions": []}')
    assert (found.hosts, found.gpu, found.mixed) == (("node1", "node2"), H100, ())
    assert found.versions["driver"] == "550.54.15"


def test_a_torn_statement_states_nothing() -> None:
    parser = LogParser()
    for line in (
        node("node1")[:-20],
        'moe-harness: node {"gpus": []}',
        "NCCL version",
        "NCCL version 2",
        *dumped()[9:12],
    ):
        parser.feed(line)
    assert parser.log().in_effect is None


def test_a_requeue_on_other_nodes_replaces_all_that_was_stated() -> None:
    first = [node("node1"), node("node2"), *dumped(), "0: " + NCCL, *TRAINED]
    again = stated(*first, node("node3", nccl="2.28.0"), node("node1", nccl="2.28.0"))
    assert (again.hosts, again.setup, again.versions["nccl"]) == (("node1", "node3"), Setup(), "2.28.0")
    wider = stated(*first, node("node3"), node("node1"), *dumped(("sequence", "sequenz"), (" 32", " 16")))
    assert (wider.hosts, wider.setup.world_size) == (("node1", "node3"), 16)


def test_a_requeue_before_it_trained_is_seen_by_the_node_that_speaks_again() -> None:
    found = stated(node("node1"), node("node2"), *dumped(), node("node1"), node("node3"))
    assert (found.hosts, found.setup) == (("node1", "node3"), Setup())


def test_a_node_that_is_slow_to_speak_belongs_to_its_launch() -> None:
    found = stated(node("node1"), *dumped(), node("node2"), *TRAINED)
    assert (found.hosts, found.setup.world_size) == (("node1", "node2"), 32)


def test_a_restart_in_place_keeps_the_nodes_and_replaces_the_rest() -> None:
    engine = "0: moe-harness: in effect " + json.dumps(ENGINE)
    found = stated(node("node1"), *dumped(), engine, *TRAINED, *dumped((" 32", " 16"), ("deepep", "hybridep"))[1:])
    assert (found.hosts, found.setup.world_size, found.setup.precision) == (("node1",), 16, "mxfp8")
    assert found.flops_per_step is None


def test_other_ranks_copies_change_nothing() -> None:
    found = stated(*dumped(), *dumped((" 32", " 1"), prefix="5: "))
    assert found.setup.world_size == 32
    torn = ["hello  world_size ...................................... 64"]
    assert stated(*dumped(), *torn).setup.world_size == 64  # a line without its label is nobody else's


def test_a_growing_log_states_what_it_has_come_to() -> None:
    lines = dumped()
    (at,) = (number for number, line in enumerate(lines) if "  fp8 ..." in line)
    begun = Setup(world_size=32, tp=2, pp=2, ep=4, etp=1, cp=1, dp=8)
    assert stated(*lines[:at]).setup == begun  # bf16 and fp16 are said, but the lowest may still come


def test_the_dumps_world_size_decides_tokens_per_gpu() -> None:
    parser = LogParser(seq_len=100, world_size=8)
    samples = [sample for line in (*dumped(), *TRAINED) if (sample := parser.feed(line))]
    first = samples[0]
    assert first.global_batch_size is not None
    assert first.tokens_per_s_per_gpu == first.global_batch_size * 100 / first.step_s / 32
