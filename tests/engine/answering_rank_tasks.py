"""What ranks that answer requests do in tests; each function is one rank's whole job."""

import json
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from megatron.core import mpu
from megatron.core.tensor_parallel.mappings import gather_from_tensor_model_parallel_region

from harness.engine import entry
from harness.engine.answerer import Answerer
from harness.engine.batching import BatchLimit
from harness.engine.generation import Decoding, Prompt
from harness.engine.scoring import Continuation, Scored
from harness.engine.session import ModelSession
from harness.engine.token_logits import TokenLogits
from harness.errors import ConfigError
from harness.evaluation.spec import EvaluationSpec, SpeedOptions, TaskOptions, ValidationData
from harness.evaluation.text_tokenizer import ByteText

LENGTH = 24


def compare_cached_logits() -> None:
    """Logits by prefill, a chunk of several tokens and single ones, against one forward pass over all tokens."""
    session = _session()
    model = TokenLogits(session)
    tokens = torch.from_numpy(np.random.default_rng(7).integers(0, 257, (2, LENGTH)))
    whole = session.forward_logits(tokens)
    cache = model.cache(2, LENGTH)
    stepped = []
    for start, end in ((0, 9), (9, 14), *((place, place + 1) for place in range(14, LENGTH))):
        rows, places = torch.meshgrid(torch.arange(2), torch.arange(end - start), indexing="ij")
        chosen = (rows.flatten(), places.flatten())
        logits = model.read(tokens[:, start:end], chosen, lambda logits, _rows: logits, cache)
        if logits is not None:
            stepped.append(logits.unflatten(0, (2, end - start)))
    assert (whole is not None) == bool(stepped) == mpu.is_pipeline_last_stage()
    if whole is not None:
        whole = gather_from_tensor_model_parallel_region(whole)[..., : session.args.vocab_size]
        largest = whole.abs().max().item()
        assert largest > 1, "logits that are all alike prove nothing"
        torch.testing.assert_close(torch.cat(stepped, dim=1), whole, rtol=0, atol=1e-5 * largest)
    session.close()


def _session() -> ModelSession:
    """The model of the checkpoint that comes first on the command line."""
    checkpoint = Path(sys.argv.pop(1))
    session = ModelSession.start(seq_length=64)
    session.load(checkpoint)
    return session


def answer_lm_eval() -> None:
    """Ask the tasks that a file describes; write the section of the result and what lm-eval was answered."""
    entry.run(_answer_lm_eval)


def _answer_lm_eval() -> None:
    asked = json.loads(Path(sys.argv.pop(1)).read_text())
    from local_tasks import record_answers  # imports transformers, which a plain job has no use for

    from harness.engine import tasks
    from harness.engine.lm_eval_model import MoeHarnessLM

    answers = record_answers(MoeHarnessLM)
    session = _session()
    section = tasks.answer_tasks(session, evaluation_spec(asked))
    assert (section is not None) == (torch.distributed.get_rank() == 0)
    if section is not None:
        Path(asked["output_dir"], "answers.json").write_text(json.dumps({"section": section, "answers": answers}))
    session.close()


def measure_speed_of_ranks() -> None:
    """Measure as a file describes, and write the section."""
    asked = json.loads(Path(sys.argv.pop(1)).read_text())
    from harness.engine.speed import measure_speed

    session = _session()
    section = measure_speed(session, evaluation_spec(asked))
    if section is not None:
        Path(asked["output_dir"], "speed.json").write_text(json.dumps(section))
    session.close()


def evaluation_spec(asked: dict[str, Any]) -> EvaluationSpec:
    """The spec that the fields of a JSON object say; the rest is of no matter to tasks."""
    options = asked.pop("tasks", None)
    asked["speed"] = SpeedOptions(**asked.pop("speed", {}))
    asked["data"] = ValidationData(files=(), tokenizer=asked.pop("tokenizer", None))
    asked["tasks"] = TaskOptions(**{**options, "tasks": tuple(options["tasks"])}) if options else None
    rest = {"model": "tiny", "checkpoints": (), "parts": ("tasks",), "seq_len": 64, "batch_size": 2, "max_tokens": 0}
    return EvaluationSpec(**{**rest, **asked})


def answer_directly() -> None:
    """Write what ranks generate and score; a rank that is alone holds it against passes over whole sequences."""
    output = Path(sys.argv.pop(1))
    session = _session()
    answerer = Answerer(session, None, BatchLimit(tokens=40))
    if torch.distributed.get_rank() != 0:
        answerer.serve()
        session.close()
        return
    prompts = _prompts(session.args.vocab_size)
    greedy = answerer.generate(prompts, Decoding(max_new_tokens=6, end=None), ())
    drawn_as = {"temperature": 0.8, "top_k": 20, "top_p": 0.9}
    found = {
        "greedy": greedy,
        "drawn": answerer.generate(prompts, Decoding(max_new_tokens=6, end=None, seed=5, **drawn_as), ()),
        "ended": answerer.generate(prompts, Decoding(max_new_tokens=6, end=greedy[0][2]), ()),
        "stopped": answerer.generate(prompts, Decoding(max_new_tokens=6, end=None), (_text(greedy[1][3:5]),)),
        "scores": [astuple(score) for _, score in sorted(answerer.score(_continued(prompts, greedy)).items())],
    }
    answerer.end()
    if torch.distributed.get_world_size() == 1:
        _hold_against_whole_passes(session, prompts, found)
    output.write_text(json.dumps(found))
    session.close()


def refuse_on_all_ranks() -> None:
    """Rank 0 ends with problems, and every rank raises them."""
    session = _session()
    answerer = Answerer(session, None, BatchLimit(tokens=40))
    try:
        if torch.distributed.get_rank() == 0:
            answerer.end(("the first is wrong", "the second is too"))
        else:
            answerer.serve()
            raise AssertionError("nothing was raised")
    except ConfigError as error:
        assert error.problems == ("the first is wrong", "the second is too")
    session.close()


def _prompts(vocab_size: int) -> list[Prompt]:
    """Five prompts of unlike lengths: copies of the model have unlike work."""
    draws = np.random.default_rng(3)
    lengths = (3, 9, 9, 14, 1)
    return [
        Prompt(number=number, tokens=draws.integers(0, vocab_size, length).astype(np.int32))
        for number, length in enumerate(lengths)
    ]


def _continued(prompts: list[Prompt], texts: dict[int, list[int]]) -> list[Scored]:
    """For every prompt its greedy text, and one that changes the last token of it, in one sequence."""
    scored = []
    for prompt in prompts:
        text = texts[prompt.number]
        other = (*text[:-1], (text[-1] + 1) % 256)
        continuations = (
            Continuation(number=2 * prompt.number, targets=tuple(text)),
            Continuation(number=2 * prompt.number + 1, targets=other),
        )
        tokens = np.concatenate((prompt.tokens, np.array(text[:-1], dtype=np.int32)))
        scored.append(Scored(tokens=tokens, continuations=continuations))
    return scored


def _hold_against_whole_passes(session: ModelSession, prompts: list[Prompt], found: dict[str, Any]) -> None:
    """Greedy texts are what passes over all tokens so far choose, and their scores what those passes give them."""
    for prompt in prompts:
        tokens, total = prompt.tokens.tolist(), 0.0
        for expected in found["greedy"][prompt.number]:
            logits = session.forward_logits(torch.tensor([tokens]))
            assert logits is not None
            likelihood = logits[0, -1].log_softmax(0)
            assert int(likelihood.argmax()) == expected
            total += likelihood[expected].item()
            tokens.append(expected)
        log_likelihood, is_greedy = found["scores"][2 * prompt.number]
        assert is_greedy
        assert abs(log_likelihood - total) < 1e-4
        assert not found["scores"][2 * prompt.number + 1][1]


def _text(tokens: list[int]) -> str:
    return ByteText().decode(tokens, skip_special_tokens=False)
