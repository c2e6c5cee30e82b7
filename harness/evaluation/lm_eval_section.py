"""lm-eval's tasks asked of any model of its interface, and the section of results that comes of it."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from harness.errors import ConfigError
from harness.evaluation.spec import EvaluationSpec, TaskOptions
from harness.evaluation.text_tokenizer import TextTokenizer

type Section = dict[str, Any]

# lm-eval's own results of a task that are of interest beside the metrics.
_TAKEN_OVER = ("results", "n-shot", "n-samples", "versions", "higher_is_better")


def ask_tasks(model: Any, tokenizer: TextTokenizer, spec: EvaluationSpec, *, max_length: int) -> Section:
    """Run lm-eval in this process on a model of its interface, and make the section `lm_eval` of what it returns.

    `max_length` is the most tokens that the model reads at once. ConfigError names tasks that cannot be asked.
    """
    from lm_eval.evaluator import simple_evaluate

    from harness.evaluation.task_manager import open_tasks

    assert spec.tasks is not None
    options = spec.tasks
    manager, names = open_tasks(options)
    with _one_process():
        results = simple_evaluate(
            model=model,
            tasks=list(names),
            num_fewshot=options.num_fewshot,
            limit=options.limit,
            log_samples=options.log_samples,
            apply_chat_template=options.apply_chat_template,
            fewshot_as_multiturn=options.apply_chat_template,
            task_manager=manager,
            **_seeds(spec.seed),
        )
    template = model.chat_template(True) if options.apply_chat_template else None
    return {
        **{name: _plain(results[name]) for name in _TAKEN_OVER if name in results},
        "backend": spec.backend,
        "lm_eval_version": version("lm_eval"),
        "seeds": _seeds(spec.seed),
        "chat_template_sha": None if template is None else hashlib.sha256(template.encode()).hexdigest(),
        "tokenizer": tokenizer.name,
        "tasks": list(names),
        "limit": options.limit,
        "max_length": max_length,
        **({"samples": _scores(results["samples"])} if options.log_samples else {}),
    }


def refuse_tokenizer(tokenizer: TextTokenizer, vocab_size: int, options: TaskOptions) -> None:
    """Raise one ConfigError of all that keeps this tokenizer from being used with a model of so many tokens."""
    problems = []
    if tokenizer.vocab_size > vocab_size:
        problems.append(
            f"tasks: the tokenizer {tokenizer.name} has {tokenizer.vocab_size} tokens, the model "
            f"{vocab_size}; give the tokenizer that it was trained with"
        )
    if tokenizer.end is None:
        problems.append(f"tasks: the tokenizer {tokenizer.name} has no eos_token; set it in tokenizer_config.json")
    if options.apply_chat_template and getattr(tokenizer.underlying, "chat_template", None) is None:
        problems.append(f"tasks: --apply-chat-template: the tokenizer {tokenizer.name} has no chat template")
    if problems:
        raise ConfigError(problems)


def _seeds(seed: int) -> dict[str, int]:
    """lm-eval's four seeds."""
    return dict.fromkeys(("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed"), seed)


@contextmanager
def _one_process() -> Iterator[None]:
    """Inside `with`, lm-eval's bootstrap forks no process a core: ranks hold threads and devices."""
    before = os.environ.get("DISABLE_MULTIPROC")
    os.environ["DISABLE_MULTIPROC"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["DISABLE_MULTIPROC"]
        else:
            os.environ["DISABLE_MULTIPROC"] = before


def _scores(samples: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Of each task's documents the numbers that metrics are made of."""
    return {
        task: [
            {
                "doc_id": document["doc_id"],
                "filter": document["filter"],
                **{name: _plain(document[name]) for name in document["metrics"] if _is_number(document[name])},
            }
            for document in documents
        ]
        for task, documents in samples.items()
    }


def _is_number(value: Any) -> bool:
    """Whether a metric of a document is a number, or some of them."""
    if isinstance(value, (list, tuple)):
        return all(_is_number(part) for part in value)
    return hasattr(value, "__float__")


def _plain(value: Any) -> Any:
    """A value as JSON has it: numpy's numbers are numbers, tuples are lists; what lm-eval calls N/A is None."""
    if isinstance(value, str):
        return None if value == "N/A" else value
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value.item() if hasattr(value, "item") else value
