"""What ranks that answer requests do in tests; each function is one rank's whole job."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from local_tasks import record_answers
from megatron.core import mpu
from megatron.core.tensor_parallel.mappings import gather_from_tensor_model_parallel_region

from harness.engine.session import ModelSession
from harness.engine.token_logits import TokenLogits
from harness.evaluation.spec import EvaluationSpec, TaskOptions, ValidationData

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
    asked = json.loads(Path(sys.argv.pop(1)).read_text())
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
    asked["data"] = ValidationData(files=(), tokenizer=asked.pop("tokenizer", None))
    asked["tasks"] = TaskOptions(**{**options, "tasks": tuple(options["tasks"])}) if options else None
    rest = {"model": "tiny", "checkpoints": (), "parts": ("tasks",), "seq_len": 64, "batch_size": 2, "max_tokens": 0}
    return EvaluationSpec(**{**rest, **asked})
