"""The load of every expert as a map, layer by expert, and how even it is by layer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

from harness.compare.metrics import ResultDocument, finite, finite_list, mapping_at, section
from harness.report.html.page_chart import ChartLine, PageChart
from harness.report.html.page_table import RunMark, run_mark

LEVELS = (-2.0, -1.0, -0.5, -0.15, 0.15, 0.5, 1.0, 2.0)
"""Ends of the map's levels, in powers of two of the layer's mean load: the middle one is even, but for a tenth."""
LEVEL_NAMES = ("< ¼", "½", "0.7", "0.9", "even", "1.1", "1.4", "2", "> 4")
_LAYER = re.compile(r"layer_(\d+)")
_FIGURES = (
    ("gini_coefficient", "Gini coefficient", "0 is even, 1 is all to one expert."),
    (
        "max_over_mean",
        "Fullest expert over mean",
        "1 is even; what a step waits for where experts are spread over ranks.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class MapLevel:
    """All cells of one level as the path of an SVG, in units of cells."""

    level: int
    path: str


@dataclass(frozen=True, kw_only=True)
class RoutingMap:
    """The map of one evaluation. `loads` are in hundredths of the layer's mean; `dead` are experts without a token."""

    id: str
    run: int | None
    mark: RunMark
    label: str
    note: str
    layers: Sequence[str]
    experts: int
    levels: Sequence[MapLevel]
    dead: str
    loads: Sequence[Sequence[int]]

    @property
    def data(self) -> dict[str, Any]:
        """What the script of the page reads."""
        return {"id": self.id, "layers": self.layers, "loads": self.loads}


def routing_map(document: ResultDocument, label: str, place: int, *, run: int | None) -> RoutingMap | None:
    """The map of the layers that have as many experts as most; None where no loads were kept."""
    counts = {name: finite_list(mapping_at(found).get("tokens_per_expert")) for name, found in _layers(document)}
    counts = {name: load for name, load in counts.items() if sum(load) > 0}
    if not counts:
        return None
    sizes = [len(load) for load in counts.values()]
    experts = max(set(sizes), key=sizes.count)
    layers = {name: load for name, load in counts.items() if len(load) == experts}
    ratios = [[value * experts / sum(load) for value in load] for load in layers.values()]
    step = document.get("step")
    return RoutingMap(
        id=f"map-{place}",
        run=run,
        mark=run_mark(place),
        label=label,
        note=f"step {step:,}" if isinstance(step, int) else "",
        layers=[name.replace("_", " ") for name in layers],
        experts=experts,
        levels=_levels(ratios),
        dead=_path([[value == 0 for value in row] for row in ratios]),
        loads=[[round(value * 100) for value in row] for row in ratios],
    )


def balance_charts(documents: Sequence[tuple[str, int, ResultDocument]], *, of_runs: bool) -> list[PageChart]:
    """Figures of balance over the decoder's layers, a line for each (label, place, result) that has them."""
    charts = []
    for key, title, note in _FIGURES:
        lines = []
        for label, place, document in documents:
            numbered = {int(found[1]): value for name, value in _layers(document) if (found := _LAYER.fullmatch(name))}
            x = sorted(numbered)
            y = [finite(mapping_at(numbered[at]).get(key)) for at in x]
            lines.append(ChartLine(name=label, x=x, y=y, run=place if of_runs else None, style=place))
        charts.append(PageChart(id=key, title=title, x_title="layer", y_title=title, lines=lines, note=note))
    return charts


def _layers(document: ResultDocument) -> list[tuple[str, object]]:
    return [(name, value) for name, value in section(document, "routing").items() if name != "aggregate"]


def _levels(ratios: Sequence[Sequence[float]]) -> list[MapLevel]:
    placed = [[_level(value) for value in row] for row in ratios]
    paths = [(level, _path([[it == level for it in row] for row in placed])) for level in range(len(LEVELS) + 1)]
    return [MapLevel(level=level, path=path) for level, path in paths if path]


def _level(ratio: float) -> int | None:
    """The level of a load; None for none at all, which is drawn as dead."""
    return sum(log2(ratio) >= end for end in LEVELS) if ratio > 0 else None


def _path(cells: Sequence[Sequence[bool]]) -> str:
    """Neighbouring cells of a row as one stroke, one cell wide, through its middle."""
    strokes = []
    for row, marked in enumerate(cells):
        start = None
        for column, is_in in enumerate([*marked, False]):
            if is_in and start is None:
                start = column
            elif not is_in and start is not None:
                strokes.append(f"M{start} {row}.5h{column - start}")
                start = None
    return "".join(strokes)
