"""The numbers of GPUs next to one that is too few or fits no grid."""

from collections.abc import Callable

MOST_GPUS = 16_384


def nearest_fits(gpus: int, fits: Callable[[int], bool]) -> list[int]:
    """The largest power of two below `gpus` that fits and the smallest one above, where there are any."""
    powers = [1 << exponent for exponent in range(MOST_GPUS.bit_length())]
    below = next((count for count in reversed(powers) if count < gpus and fits(count)), None)
    above = next((count for count in powers if count > gpus and fits(count)), None)
    return [count for count in (below, above) if count is not None]
