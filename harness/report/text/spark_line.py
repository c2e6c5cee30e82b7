"""A line of values in one row of text."""

from collections.abc import Sequence

_HEIGHTS = "▁▂▃▄▅▆▇█"


def spark_line(values: Sequence[float | None], *, width: int = 16) -> str:
    """A bar a value, from the lowest to the highest of them; a gap where one is missing.

    More than `width` values are shown by those of evenly spaced places, the first and the last among them.
    """
    shown = values if len(values) <= width else [values[at * (len(values) - 1) // (width - 1)] for at in range(width)]
    known = [value for value in shown if value is not None]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)
    return "".join(" " if value is None else _HEIGHTS[_height(value - low, span)] for value in shown)


def _height(above: float, span: float) -> int:
    """Of the lowest 0; in the middle where all are the same."""
    return round(above / span * (len(_HEIGHTS) - 1)) if span else (len(_HEIGHTS) - 1) // 2
