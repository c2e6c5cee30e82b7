"""Say that unlike results were compared all the same."""

from harness.compare.comparison import Comparison


def show_unlike(found: Comparison) -> str:
    """What is unlike, a line each."""
    return "\n".join(["compared by --force, although these are not alike:", *(f"  {line}" for line in found.unlike)])
