"""Ranks that answer: texts and scores are the same under every mapping, though copies of the model have unlike work."""

import json
from pathlib import Path
from typing import Any

import pytest
from engine_models import ON_CPU
from tiny_checkpoints import TinyCheckpoint, convert_tiny

pytestmark = pytest.mark.slow

PP2 = ("--pipeline-model-parallel-size", "2")
EP2 = ("--expert-model-parallel-size", "2")
TP2 = ("--tensor-model-parallel-size", "2")
ETP1 = ("--expert-tensor-parallel-size", "1")
MAPPINGS = {
    "PP2": (2, PP2),
    "TP2": (2, TP2),
    "EP2": (2, EP2),
    "DP2": (2, ()),
    "TP2·EP2·ETP1": (2, (*TP2, *EP2, *ETP1)),
    "PP2·EP2 on 4": (4, (*PP2, *EP2)),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> TinyCheckpoint:
    """A model like DeepSeek-V3."""
    return convert_tiny("DeepSeek-V3", tmp_path_factory.mktemp("v3"))


@pytest.fixture(scope="module")
def alone(ranks: Any, checkpoint: TinyCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one rank answers; it holds greedy texts and scores against passes over whole sequences."""
    return answered(ranks, checkpoint, tmp_path_factory.mktemp("alone") / "found.json")


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_every_mapping_answers_alike(
    ranks: Any, checkpoint: TinyCheckpoint, alone: dict[str, Any], mapping: str, tmp_path: Path
) -> None:
    """Greedy and drawn texts are equal, log-likelihoods to 1e-4."""
    world_size, argv = MAPPINGS[mapping]
    found = answered(ranks, checkpoint, tmp_path / "found.json", *argv, world_size=world_size)
    for kind in ("greedy", "drawn", "ended", "stopped"):
        assert found[kind] == alone[kind], kind
    for ours, theirs in zip(found["scores"], alone["scores"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_texts_end_where_they_should(alone: dict[str, Any]) -> None:
    """At the token that ends a text, which is not part of it, and with what completes a stop text."""
    greedy, ended, stopped = (alone[kind] for kind in ("greedy", "ended", "stopped"))
    assert {len(text) for text in greedy.values()} == {6}
    assert ended["0"] == greedy["0"][: greedy["0"].index(greedy["0"][2])]
    assert stopped["1"] == greedy["1"][: len(stopped["1"])]
    assert len(stopped["1"]) <= 5


def test_drawn_texts_differ_from_greedy_ones(alone: dict[str, Any]) -> None:
    """At a temperature of 0.8 some text does."""
    assert alone["drawn"] != alone["greedy"]


def test_problems_of_the_first_rank_are_those_of_all(ranks: Any, checkpoint: TinyCheckpoint) -> None:
    """No rank waits for one that has ended."""
    job = ranks.run(*words(checkpoint), world_size=2, task="refuse_on_all_ranks")
    assert set(job.exit_codes) == {0}, job.log[-6000:]


def words(checkpoint: TinyCheckpoint) -> tuple[str, ...]:
    """The arguments that make and load the model."""
    return (str(checkpoint.weights), *checkpoint.flags, *ON_CPU, "--moe-grouped-gemm")


def answered(ranks: Any, checkpoint: TinyCheckpoint, output: Path, *argv: str, world_size: int = 1) -> dict[str, Any]:
    """What ranks answer under a mapping."""
    job = ranks.run(str(output), *words(checkpoint), *argv, world_size=world_size, task="answer_directly")
    assert set(job.exit_codes) == {0}, job.log[-6000:]
    found: dict[str, Any] = json.loads(output.read_text())
    return found
