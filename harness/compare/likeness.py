"""Whether evaluations measured the same thing, so that their figures can be set side by side."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.compare.metrics import ResultDocument, section
from harness.errors import ConfigError
from harness.evaluation.spec import PARTS, Part


class _Condition(NamedTuple):
    """What must be equal: the `path` of keys in the document, and what it is in words."""

    path: str
    words: str


_ALWAYS = (_Condition("schema_version", "schema version"),)

_TOKENS = (
    _Condition("validation.sha256", "evaluated tokens"),
    _Condition("evaluation.data.tokenizer", "tokenizer"),
    _Condition("evaluation.seq_len", "sequence length"),
)

_CONDITIONS: Mapping[Part, Sequence[_Condition]] = {
    "loss": (*_TOKENS, _Condition("validation.tokens", "number of tokens"), _Condition("validation.rule", "rule")),
    "routing": (*_TOKENS, _Condition("evaluation.ep", "expert parallel size of the loads")),
    "speed": (
        _Condition("inference_performance.device", "device"),
        _Condition("evaluation.batch_size", "batch size"),
        _Condition("evaluation.seq_len", "sequence length"),
        _Condition("evaluation.speed", "measuring of speed"),
    ),
    "cost": (
        _Condition("computational_cost.convention", "convention of FLOPs"),
        _Condition("evaluation.seq_len", "sequence length"),
    ),
    "tasks": (
        _Condition("lm_eval.versions", "versions of tasks"),
        _Condition("lm_eval.n-shot", "few-shot examples"),
        _Condition("evaluation.tasks.num_fewshot", "few-shot examples asked for"),
        _Condition("evaluation.tasks.limit", "limit of documents"),
        _Condition("evaluation.tasks.apply_chat_template", "chat template"),
        _Condition("lm_eval.chat_template_sha", "hash of the chat template"),
    ),
}


def shared_parts(documents: Sequence[ResultDocument]) -> list[Part]:
    """The parts that all of them measured."""
    return [part for part in PARTS if all(section(document, part) for document in documents)]


def left_out(documents: Sequence[ResultDocument], names: Sequence[str]) -> list[str]:
    """A sentence for each part that only some of them measured; `names` are those of the documents."""
    sentences = []
    for part in PARTS:
        having = [name for name, document in zip(names, documents, strict=True) if section(document, part)]
        if 0 < len(having) < len(documents):
            sentences.append(f"{part} is left out: only {' and '.join(having)} measured it")
    return sentences


def refuse_unlike(documents: Sequence[ResultDocument], names: Sequence[str]) -> None:
    """ConfigError with every difference from the first that makes evaluations unlike, in the parts that all have."""
    conditions = [*_ALWAYS, *(condition for part in shared_parts(documents) for condition in _CONDITIONS[part])]
    problems = [
        f"{names[at]} is unlike {names[0]}: {difference}"
        for at, document in enumerate(documents[1:], start=1)
        for condition in dict.fromkeys(conditions)
        for difference in _differences(condition, documents[0], document)
    ]
    if problems:
        raise ConfigError([*problems, "evaluate them alike, or compare those that are"])


def _differences(condition: _Condition, first: ResultDocument, second: ResultDocument) -> Iterator[str]:
    a, b = _at(first, condition.path), _at(second, condition.path)
    if a == b:
        return
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys((*a, *b)):
            if a.get(key) != b.get(key):
                yield f"{condition.words}: {key} {_said(b.get(key))}, not {_said(a.get(key))}"
        return
    yield f"{condition.words} ({condition.path}): {_said(b)}, not {_said(a)}"


def _at(document: ResultDocument, path: str) -> object:
    value: object = document
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _said(value: object) -> str:
    return "none" if value is None else str(value)
