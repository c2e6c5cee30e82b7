"""Quantities are kept in bytes, seconds and FLOPs; these convert at the edges, when printing or parsing."""

MIB = 1024**2
GIB = 1024**3
GIGA = 10**9
TERA = 10**12


def show_bytes(count_bytes: float) -> str:
    """`1610612736` → `1.50 GiB`."""
    value = float(count_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.2f} {unit}"
        value /= 1024
    return f"{value:.2f} TiB"


def show_seconds(duration_s: float) -> str:
    """`0.0123` → `12.3 ms`, `75` → `1m15s`."""
    if duration_s < 1:
        return f"{duration_s * 1e3:.1f} ms"
    if duration_s < 60:
        return f"{duration_s:.2f} s"
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m{seconds:02d}s" if hours else f"{minutes}m{seconds:02d}s"


def show_hours(hours: float) -> str:
    """`0.3333` → `0.33`, `2731.4` → `2,731`."""
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def show_count(count: float) -> str:
    """`671026419200` → `671.0B`."""
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(count) >= limit:
            return f"{count / limit:.1f}{unit}"
    return f"{count:.0f}"
