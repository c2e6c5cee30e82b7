"""Whether one run is slower than another by so much that no test is needed: nearly all its steps, by their quantiles.

On a machine that other work shares, the steps of a run hang together so long that few runs are long enough for blocks.
What such work does is to slow steps down; so the fast steps of the one beside the slow ones of the other tell.
"""

from collections.abc import Sequence

import numpy as np

FEWEST_RANGED = 100
"""Steps of each run; fewer may all fall into one spell of load."""

_FAST, _SLOW = 5, 75  # percentiles, chosen among four pairs by their false alarms on runs of a busy machine


def certain_excess(first: Sequence[float], second: Sequence[float]) -> float | None:
    """By which share 19 of 20 steps of the second run are slower than 3 of 4 of the first; None for too few steps."""
    if min(len(first), len(second)) < FEWEST_RANGED:
        return None
    return float(np.percentile(second, _FAST) / np.percentile(first, _SLOW)) - 1
