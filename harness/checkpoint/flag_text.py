"""Values of Megatron's flags as a command line has them."""

from collections.abc import Iterable
from itertools import groupby


def moe_layer_flag(pattern: Iterable[bool]) -> str:
    """`--moe-layer-freq` as a list: every release then keys weights layer by layer. E.g. `([0]*3+[1]*58)`."""
    runs = [(int(is_moe), len(list(layers))) for is_moe, layers in groupby(pattern)]
    return "(" + "+".join(f"[{is_moe}]*{length}" for is_moe, length in runs) + ")"


def number_text(value: float) -> str:
    """`1e-6`, `0.707`, `40`: as model files write numbers."""
    return f"{value:.17g}" if float(f"{value:g}") != value else f"{value:g}".replace("e-0", "e-")
