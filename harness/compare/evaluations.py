"""Evaluations side by side: every metric that they share."""

from collections.abc import Sequence
from pathlib import PurePath

from harness.compare.comparison import Comparison, compared
from harness.compare.evaluation_likeness import CONDITIONS_OF_ALL, CONDITIONS_OF_PARTS
from harness.compare.evidence import ComparedPair
from harness.compare.likeness import require_alike, unlikeness
from harness.compare.metrics import ResultDocument, left_out, read_metrics, section, shared_parts
from harness.errors import ConfigError


def compare_evaluations(
    documents: Sequence[ResultDocument], names: Sequence[str] | None = None, *, force: bool = False
) -> Comparison:
    """Compare the first with each of the others; without `names` they have some of their own.

    ConfigError for fewer than two, and unless forced for unlike ones.
    """
    if len(documents) < 2:
        raise ConfigError(f"a comparison takes two results or more, not {len(documents)}")
    names, parts = tuple(names or evaluation_names(documents)), shared_parts(documents)
    of_parts = [condition for part in parts for condition in CONDITIONS_OF_PARTS[part]]
    conditions = {condition.words: condition for condition in (*CONDITIONS_OF_ALL, *of_parts)}.values()
    unlike = unlikeness(documents, names, tuple(conditions))
    require_alike(unlike, "evaluate them alike, or compare those that are", force=force)
    pairs = [ComparedPair(documents[0], document) for document in documents[1:]]
    metrics = [compared([read_metrics(document, part) for document in documents], pairs) for part in parts]
    return Comparison(
        names=names,
        metrics=tuple(metric for of_part in metrics for metric in of_part),
        left_out=tuple(left_out(documents, names)),
        unlike=unlike,
        notices=tuple(_told_backends(documents, names)),
    )


def _told_backends(documents: Sequence[ResultDocument], names: Sequence[str]) -> list[str]:
    """A sentence on who answered the tasks of each, where that differs: it is no other task, and no other weights."""
    if "tasks" not in shared_parts(documents):
        return []
    backends = [str(section(document, "tasks").get("backend", "megatron")) for document in documents]
    if len(set(backends)) == 1:
        return []
    told = (f"{backend} in {name}" for backend, name in zip(backends, names, strict=True))
    return [f"tasks were answered by different backends: {', '.join(told)}"]


def evaluation_names(documents: Sequence[ResultDocument]) -> tuple[str, ...]:
    """A short name of each: its checkpoint's folder where those differ, else its step, its file, or its place."""
    folders, files = (
        [PurePath(str(document.get(key) or "")).name for document in documents]
        for key in ("checkpoint_dir", "output_file")
    )
    steps = ["" if document.get("step") is None else f"step {document['step']}" for document in documents]
    for names in (folders, steps, files):
        if all(names) and len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"result {at}" for at in range(1, len(documents) + 1))
