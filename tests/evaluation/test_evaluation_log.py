"""An evaluation's log read into its result."""

import json

from harness.evaluation.log_reader import EvaluationLogReader
from harness.evaluation.result import CheckpointFigures

FIGURES = {
    "checkpoint": "/runs/r/checkpoints/iter_0000050",
    "step": 50,
    "output_file": "/runs/r/eval/eval_results_20261130_120000.json",
    "loss": 2.5,
    "perplexity": 12.2,
    "tokens": 1000,
    "scores": {"arc acc": 0.25, "torn": "nan"},
    "walltime_s": 3.0,
}


def _lines(figures: dict[str, object]) -> list[str]:
    begun = {"checkpoint": figures["checkpoint"], "step": figures.get("step"), "number": 1, "total": 2}
    return [f"0: moe-harness: evaluating {json.dumps(begun)}", f"0: moe-harness: evaluated {json.dumps(figures)}"]


def test_a_checkpoint_is_a_step() -> None:
    reader = EvaluationLogReader()
    *_, step = [reader.feed(line) for line in _lines(FIGURES)]
    assert step is not None
    assert (step.number, step.total) == (1, 2)
    assert step.text == "step 50  loss 2.5000  perplexity 12.2  arc acc 0.2500  3.0 s"
    result = reader.result()
    assert result.total == 2
    assert result.evaluated == (
        CheckpointFigures(**{**FIGURES, "scores": {"arc acc": 0.25}}),  # type: ignore[arg-type]
    )


def test_an_attempt_that_begins_anew_counts_none_twice() -> None:
    reader = EvaluationLogReader()
    for _ in range(2):
        for line in _lines(FIGURES):
            reader.feed(line)
    assert len(reader.result().evaluated) == 1


def test_torn_and_foreign_lines_are_passed_over() -> None:
    reader = EvaluationLogReader()
    whole = _lines(FIGURES)[1]
    for line in ("", "moe-harness: evaluated", whole[:-5], 'moe-harness: evaluated {"loss": 1.0}', "0: noise"):
        assert reader.feed(line) is None
    assert reader.result().evaluated == ()
