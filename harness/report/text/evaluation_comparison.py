"""A comparison of evaluations as a table, and as JSON data."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from harness.compare.comparison import ComparedMetric, Comparison, Contrast
from harness.compare.significance import ALPHA, Significance
from harness.report.text.figure import show_change, show_figure
from harness.report.text.plain_table import MISSING, plain_table, show_known
from harness.report.text.unlike import show_unlike

LEGEND = f"""\
Differences are to the first. A star marks the better value, noise or not. Each line is a test of its own at
p < {ALPHA}: of a hundred lines without any difference one is expected to be told as one. Windows, documents and
assignments are taken as independent. Speeds that lie apart in one session each may not do so in others: perhaps."""

_LAYERS = ("of single layers", "layers", "beyond the noise", "differences from", "to")


def show_comparison(found: Comparison) -> str:
    """A row a metric: its values, the better one marked, and whether each differs from the first beyond the noise.

    Figures of single layers are summed up, a row a figure.
    """
    rows = [_row(metric, found.names) for metric in found.metrics if not _layers_figure(metric)]
    tables = [show_unlike(found)] if found.unlike else []
    tables.append(plain_table(rows, ("", *found.names, "difference", "beyond the noise", "by")))
    tables += [
        f"{name} against {found.names[0]}:\n{plain_table(of_layers, _LAYERS)}"
        for at, name in enumerate(found.names[1:])
        if (of_layers := list(_layer_rows(found, at)))
    ]
    return "\n\n".join([*tables, "\n".join([*found.left_out, *found.notices, LEGEND])])


def comparison_data(found: Comparison) -> dict[str, Any]:
    """The same as JSON data, with every layer; the `better` one by its name, null where none is."""
    return {
        "results": list(found.names),
        "alpha": ALPHA,
        "left_out": list(found.left_out),
        "unlike": list(found.unlike),
        "notices": list(found.notices),
        "metrics": [
            {
                **asdict(metric),
                "better": None if metric.better is None else found.names[metric.better],
            }
            for metric in found.metrics
        ],
    }


def _row(metric: ComparedMetric, names: Sequence[str]) -> tuple[str, ...]:
    values = [
        show_known(value, show_figure) + (" *" if at == metric.better else "") for at, value in enumerate(metric.values)
    ]
    several = len(metric.contrasts) > 1
    told = [
        (f"{name}: " if several else "", contrast) for name, contrast in zip(names[1:], metric.contrasts, strict=True)
    ]
    return (
        metric.name,
        *values,
        "\n".join(show_change(contrast.difference) if contrast else MISSING for _, contrast in told),
        "\n".join(f"{label}{_verdict(contrast)}" for label, contrast in told),
        "\n".join(dict.fromkeys(_methods(metric))),
    )


def _verdict(contrast: Contrast | None) -> str:
    """`yes, p = 0.0012`, `perhaps` of what was not tested, `no, p = 0.3; 0.02 would have shown`, or a dash."""
    if contrast is None or contrast.significance.beyond is None:
        return MISSING
    it = contrast.significance
    p = f", {_show_p(it.p)}" if it.p is not None else ""
    if it.beyond:
        return f"yes{p}" if it.tested else "perhaps"
    return f"no{p}{_least(it)}"


def _least(it: Significance) -> str:
    return f"; {it.least:.2g} would have shown" if it.least else ""


def _show_p(p: float) -> str:
    return f"p = {p:.2g}" if p >= 1e-4 else "p < 0.0001"


def _methods(metric: ComparedMetric) -> Iterator[str]:
    return (contrast.significance.method for contrast in metric.contrasts if contrast)


def _layers_figure(metric: ComparedMetric) -> str:
    """`entropy` of `layer_3.entropy`; empty for what is no figure of a single layer."""
    scope, _, figure = metric.name.partition(".")
    return figure if metric.part == "routing" and scope.startswith(("layer_", "mtp_")) else ""


def _layer_rows(found: Comparison, at: int) -> Iterator[tuple[str, ...]]:
    """Of each figure how many layers differ from the first result, and by how much."""
    figures: dict[str, list[Contrast]] = {}
    for metric in found.metrics:
        if (figure := _layers_figure(metric)) and (contrast := metric.contrasts[at]):
            figures.setdefault(figure, []).append(contrast)
    for figure, contrasts in figures.items():
        known = [contrast.significance.beyond for contrast in contrasts if contrast.significance.beyond is not None]
        differences = [contrast.difference for contrast in contrasts]
        beyond = str(sum(known)) if known else MISSING
        yield figure, str(len(contrasts)), beyond, show_change(min(differences)), show_change(max(differences))
