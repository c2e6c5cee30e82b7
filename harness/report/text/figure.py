"""A measured figure of any size in a few digits."""


def show_figure(value: float) -> str:
    """`2.71828` → `2.7183`, `51234.5` → `51,234`, `0.000012` → `1.2e-05`: five digits, none of them idle."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.5g}"


def show_change(value: float) -> str:
    """A difference with its sign, in three digits: `+0.0123`."""
    return "0" if value == 0 else f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+.3g}"
