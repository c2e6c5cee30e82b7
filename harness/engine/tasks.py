"""lm-eval's tasks, asked of a session's ranks: one process is lm-eval's, all ranks answer."""

import torch.distributed

from harness.engine.answerer import Answerer
from harness.engine.batching import BatchLimit
from harness.engine.session import ModelSession
from harness.engine.token_budget import token_budget
from harness.errors import ConfigError, HarnessError
from harness.evaluation.lm_eval_section import Section, ask_tasks, refuse_tokenizer
from harness.evaluation.spec import EvaluationSpec, TaskOptions
from harness.evaluation.text_tokenizer import load_text_tokenizer


def answer_tasks(session: ModelSession, spec: EvaluationSpec) -> Section | None:
    """The section `lm_eval` of the results on rank 0, None on the others. All ranks call it at once.

    Of a user's mistakes all ranks raise the ConfigError.
    """
    assert spec.tasks is not None
    tokens = token_budget(session)
    answerer = Answerer(session, spec.data.tokenizer, BatchLimit(tokens=tokens, sequences=spec.tasks.batch_size))
    if torch.distributed.get_rank() != 0:
        answerer.serve()
        return None
    try:
        section = _asked(answerer, session, spec, spec.tasks)
    except HarnessError as error:
        answerer.end(error.problems if isinstance(error, ConfigError) else (str(error),))
        raise
    answerer.end()
    return section


def _asked(answerer: Answerer, session: ModelSession, spec: EvaluationSpec, options: TaskOptions) -> Section:
    """Ask the ranks behind the answerer from this process."""
    from harness.engine.lm_eval_model import MoeHarnessLM

    tokenizer = load_text_tokenizer(spec.data.tokenizer)
    refuse_tokenizer(tokenizer, session.args.vocab_size, options)
    max_length = int(session.args.max_position_embeddings or spec.seq_len)
    model = MoeHarnessLM(answerer, tokenizer, max_length=max_length, seed=spec.seed)
    section = ask_tasks(model, tokenizer, spec, max_length=max_length)
    return {**section, "batch": _told(answerer.limit)}


def _told(limit: BatchLimit) -> str:
    """A batch's size, in words."""
    if limit.sequences:
        return f"{limit.sequences} sequences"
    return f"auto: at most {limit.tokens} tokens, padding counted"
