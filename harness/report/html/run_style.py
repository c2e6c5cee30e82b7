"""How runs are told apart on a page: by colour and by the dashes of their lines, so that either is enough for many.

The colours follow Okabe and Ito's, which people with any colour vision tell apart, darkened or lightened until each has
a contrast of 3:1 or more to the ground of its theme (WCAG 2, 1.4.11).
"""

from collections.abc import Mapping, Sequence
from typing import Literal

type Theme = Literal["light", "dark"]

RUN_COLOURS: Mapping[Theme, Sequence[str]] = {
    "light": ("#0068b5", "#c2500a", "#007a59", "#a33d80", "#7d6300", "#2787b8", "#4a4f57"),
    "dark": ("#62b1ee", "#f0924c", "#3cc79b", "#e58fc4", "#dcc044", "#9db4ff", "#c3c8cf"),
}
RUN_DASHES: Sequence[Sequence[int]] = ((), (8, 4), (2, 4), (10, 4, 2, 4))
"""Strokes and gaps in pixels, one of four; with seven colours no two of 28 runs look alike."""


def dash_array(place: int) -> str:
    """The `stroke-dasharray` of the run at a place."""
    return " ".join(map(str, RUN_DASHES[place % len(RUN_DASHES)])) or "none"


def colour_name(place: int) -> str:
    """The CSS value of its colour."""
    return f"var(--run-{place % len(RUN_COLOURS['light'])})"
