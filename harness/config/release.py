"""A release of Megatron-Core or of Transformer Engine, as far as rules go by it: `0.19` of 0.19.2."""

import re
from typing import NamedTuple

_WRITTEN = re.compile(r"(?:core_[rv]|v)?(0|[1-9]\d*)\.(0|[1-9]\d*)(?:\.\w+)*")


class Release(NamedTuple):
    """Major and minor number, in the order of time: `Release(0, 9) < Release(0, 19)`. Patches change no rule."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "Release":
        """The release as users and wheels write it: `0.19`, `0.19.2`, `core_r0.15.0`, `v0.16.1`. ValueError else."""
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no release such as 0.19 or core_r0.15.0")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


EMBEDDED_RELEASE = Release(0, 19)
"""The Megatron-Core that the embedded engine is written to and pyproject.toml pins, and the one taken by default."""
