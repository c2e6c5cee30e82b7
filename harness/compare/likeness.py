"""Whether evaluations measured the same thing, so that their figures can be set side by side."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.compare.metrics import ResultDocument, section
from harness.errors import ConfigError
from harness.evaluation.spec import PARTS, EvaluatedPart


class _Condition(NamedTuple):
    """What must be equal, in words, and the keys that lead to it: of several paths the first that both have, or one."""

    words: str
    paths: Sequence[str]


_LONGEST = 72  # of a value in a message: a hash is told whole, a sentence is not

_ALWAYS = (_Condition("schema version", ["schema_version"]),)
_SEQ_LEN = _Condition("sequence length", ["evaluation.seq_len"])
_BATCH_SIZE = _Condition("batch size", ["evaluation.batch_size"])
_PRECISION = _Condition("precision", ["config.PR"])
_TOKENS = (
    _Condition("evaluated tokens", ["validation.data.sha256", "evaluation.data.fingerprint"]),
    _SEQ_LEN,
    _Condition("most tokens", ["validation.tokens", "evaluation.max_tokens"]),
    _PRECISION,
)

_CONDITIONS: Mapping[EvaluatedPart, Sequence[_Condition]] = {
    "loss": (*_TOKENS, _Condition("rule of windows", ["validation.data.rule"])),
    "routing": (*_TOKENS, _BATCH_SIZE, _Condition("expert parallel size of the loads", ["evaluation.ep"])),
    "speed": (
        _Condition("device", ["inference_performance.device"]),
        _BATCH_SIZE,
        _SEQ_LEN,
        _PRECISION,
        _Condition("measuring of speed", ["evaluation.speed"]),
    ),
    "cost": (_Condition("conventions of cost", ["computational_cost.convention"]), _BATCH_SIZE, _SEQ_LEN),
    "tasks": (
        _Condition("versions of tasks", ["lm_eval.versions"]),
        _Condition("few-shot examples", ["lm_eval.n-shot"]),
        _Condition("documents a task", ["lm_eval.n-samples"]),
        _Condition("limit of documents", ["lm_eval.limit"]),
        _Condition("chat template", ["evaluation.tasks.apply_chat_template"]),
        _Condition("hash of the chat template", ["lm_eval.chat_template_sha"]),
        _Condition("longest sequence", ["lm_eval.max_length"]),
        _Condition("seeds", ["lm_eval.seeds"]),
        _Condition("tokenizer", ["evaluation.data.tokenizer_sha256", "evaluation.data.tokenizer"]),
        _PRECISION,
    ),
}


def shared_parts(documents: Sequence[ResultDocument]) -> list[EvaluatedPart]:
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


def told_backends(documents: Sequence[ResultDocument], names: Sequence[str]) -> list[str]:
    """A sentence on who answered the tasks of each, where that differs: it is no other task, and no other weights."""
    if "tasks" not in shared_parts(documents):
        return []
    backends = [str(section(document, "tasks").get("backend", "megatron")) for document in documents]
    if len(set(backends)) == 1:
        return []
    told = (f"{backend} in {name}" for backend, name in zip(backends, names, strict=True))
    return [f"tasks were answered by different backends: {', '.join(told)}"]


def refuse_unlike(documents: Sequence[ResultDocument], names: Sequence[str]) -> None:
    """ConfigError with every difference from the first that makes evaluations unlike, in the parts that all have."""
    of_parts = [condition for part in shared_parts(documents) for condition in _CONDITIONS[part]]
    conditions = {condition.words: condition for condition in (*_ALWAYS, *of_parts)}.values()
    problems = [
        f"{names[at]} is unlike {names[0]}: {difference}"
        for at, document in enumerate(documents[1:], start=1)
        for condition in conditions
        for difference in _differences(condition, documents[0], document)
    ]
    if problems:
        raise ConfigError([*problems, "evaluate them alike, or compare those that are"])


def _differences(condition: _Condition, first: ResultDocument, second: ResultDocument) -> Iterator[str]:
    values = [(path, _at(first, path), _at(second, path)) for path in condition.paths]
    path, a, b = max(values, key=lambda it: (it[1] is not None) + (it[2] is not None))  # the first of the most
    if a == b:
        return
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys((*a, *b)):
            if a.get(key) != b.get(key):
                yield f"{condition.words}: {key} {_said(b.get(key))}, not {_said(a.get(key))}"
        return
    yield f"{condition.words} ({path}): {_said(b)}, not {_said(a)}"


def _at(document: ResultDocument, path: str) -> object:
    value: object = document
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _said(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
