"""In which settings, flags and circumstances runs differ, and where each value came from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.config.provenance import Resolved
from harness.config.secrets import is_secret
from harness.config.setting_flags import SETTING_OF_FLAG
from harness.runs.record import RunRecord

_OF_THE_RUN = frozenset({"DRY_RUN", "SUBMIT_WAIT", "REPEATS", "OUTPUT_PATH", "RUN_NAME"})
"""Settings that decide nothing in a run."""


@dataclass(frozen=True, kw_only=True)
class ConfigurationDifference:
    """What all runs have under one name, the first run first: values as text, and origins (`common.conf:5`).

    None: a run has no such value, or its origin is not known.
    """

    name: str
    values: tuple[str | None, ...]
    origins: tuple[str | None, ...]


def configuration_differences(records: Sequence[RunRecord]) -> tuple[ConfigurationDifference, ...]:
    """Settings first, then flags that no setting among these carries, the environment, and what it ran on and with."""
    resolved = [record.resolved for record in records]
    settings = tuple(_apart([_texts(it.settings) for it in resolved], resolved))
    known = {difference.name for difference in settings}
    flags = (
        it
        for it in _apart([_texts(it.megatron_args) for it in resolved], resolved)
        if SETTING_OF_FLAG.get(it.name) not in known
    )
    env = (it for it in _apart([_texts(it.env) for it in resolved], resolved) if it.name not in known)
    return (*settings, *flags, *env, *_apart([_circumstances(record) for record in records], None))


def _apart(
    texts: Sequence[Mapping[str, str]], resolved: Sequence[Resolved] | None
) -> Iterator[ConfigurationDifference]:
    """Of each name that has not the same value in all; `resolved` knows the origins."""
    for name in dict.fromkeys(name for of_one in texts for name in of_one):
        values = tuple(of_one.get(name) for of_one in texts)
        if len(set(values)) == 1 or name in _OF_THE_RUN or is_secret(name):
            continue
        origins = [it.origin(name) for it in resolved] if resolved else [None] * len(values)
        yield ConfigurationDifference(
            name=name, values=values, origins=tuple(None if it is None else str(it) for it in origins)
        )


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _circumstances(record: RunRecord) -> dict[str, str]:
    revision, job = record.revision, record.job
    commit = f"{revision.commit}{', changed since' if revision.dirty else ''}" if revision.commit else None
    found = {"run on": job.on, "moe-harness": commit, "hosts": ", ".join(record.hosts) or None}
    return {name: value for name, value in found.items() if value} | dict(record.versions)
