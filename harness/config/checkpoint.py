"""What the converter writes of a Megatron checkpoint and a launch reads: names of files, and what limits its use."""

from dataclasses import dataclass

TRACKER = "latest_checkpointed_iteration.txt"
"""Beside the folders of iterations; Megatron loads the one that it names."""

RELEASE = "release"
"""What the tracker says, and the folder is called, where the weights belong to no step of a training."""

RECORD = "moe-harness.json"
"""Beside the weights: family, flags, limits, the source's config."""

RECORD_VERSION = 1

UNNORMED_QUERY = "unnormed-query"
GROUP_SCORE = "group-score"
"""The names of the limits that the embedded engine does not have."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Something of a model that Megatron cannot represent in some `releases`, e.g. `0.19`: a sentence for the user.

    A launch knows it by its `name`.
    """

    name: str
    text: str
    releases: tuple[str, ...]


def tracked_folder(text: str) -> str | None:
    """The folder that a tracker's text means: `release`, or `iter_0000007` for a step; None where it means none."""
    word = text.strip()
    if word == RELEASE:
        return RELEASE
    return f"iter_{int(word):07d}" if word.isdecimal() else None
