"""The routing of an evaluation as tables: each figure, and in brackets the noise of uniform random routing."""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from harness.evaluation.routing.thresholds import THRESHOLDS, rating
from harness.report.text.evaluation_figures import number_of, section_of
from harness.report.text.plain_table import plain_table, show_known

_ROUTER = re.compile(r"(layer|mtp)_(\d+)")
_WIDTH = 90
"""Of a rule's lines, in characters."""


class RoutingColumn(NamedTuple):
    """A figure: its `path` in a layer's figures, and that of its floor in the layer's noise."""

    header: str
    path: tuple[str, ...]
    noise: tuple[str, ...]
    show: Callable[[float], str] = "{:.3f}".format


_RATED = (
    RoutingColumn("Gini", ("gini_coefficient",), ("gini",)),
    RoutingColumn("CV", ("coefficient_of_variation",), ("cv",)),
    RoutingColumn("utilisation", ("expert_utilization_rate",), ("expert_utilization_rate",)),
)
_OTHERS = (
    RoutingColumn("max/mean", ("max_over_mean",), ("max_over_mean",), "{:.2f}".format),
    RoutingColumn("MaxVio", ("max_vio",), ("max_vio",), "{:.2f}".format),
    RoutingColumn("MaxVio/batch", ("max_vio_batch", "mean"), ("max_vio_batch_mean",), "{:.2f}".format),
    RoutingColumn("entropy", ("entropy",), ("entropy",)),
    RoutingColumn("dead", ("dead_experts",), ("dead_experts",), "{:.3g}".format),
    RoutingColumn("EP balance", ("balancedness", "mean_over_max"), ("balancedness",)),
    RoutingColumn(
        "vocabulary", ("vocabulary_specialization", "repeated_mean"), ("vocabulary_specialization", "repeated_mean")
    ),
)


def show_routing(routing: Mapping[str, Any]) -> str:
    """A table of the rated figures and one of the others, a row a router, and what noise and ratings mean."""
    routers = _routers(routing)
    aggregate = section_of(routing, "aggregate")
    noted = any(_note(of) for _, of in routers)
    rated = [
        [_name(name), *(_rated(of, column) for column in _RATED), *([_note(of)] if noted else [])]
        for name, of in routers
    ]
    others = [[_name(name), *(_beside_noise(of, column) for column in _OTHERS)] for name, of in routers]
    return "\n\n".join(
        (
            plain_table(
                [*rated, _means(aggregate)], ["router", *(it.header for it in _RATED), *(["note"] if noted else [])]
            ),
            plain_table(others, ["router", *(it.header for it in _OTHERS)]),
            plain_table(_legend(aggregate, [of for _, of in routers])),
        )
    )


def _routers(routing: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The decoder's layers by number, then those of MTP."""
    named = [(found[1], int(found[2]), name) for name in routing if (found := _ROUTER.fullmatch(name))]
    return [(name, section_of(routing, name)) for _, _, name in sorted(named)]


def _name(router: str) -> str:
    """`layer_3` → `layer 3`, `mtp_0` → `MTP 0`."""
    return router.replace("mtp_", "MTP ").replace("_", " ")


def _rated(layer: Mapping[str, Any], column: RoutingColumn) -> str:
    value = _at(layer, column.path)
    return " ".join([_beside_noise(layer, column), *([rating(column.path[0], value)] if value is not None else [])])


def _beside_noise(layer: Mapping[str, Any], column: RoutingColumn) -> str:
    """`0.312 (0.078)`."""
    value, floor = _at(layer, column.path), _at(layer, ("noise", *column.noise))
    return f"{show_known(value, column.show)} ({show_known(floor, column.show)})"


def _at(layer: Mapping[str, Any], path: Sequence[str]) -> float | None:
    return number_of(section_of(layer, *path[:-1]), path[-1])


def _note(layer: Mapping[str, Any]) -> str:
    dropped = number_of(layer, "dropped_assignments")
    notes = ["too few tokens"] if layer.get("too_few_tokens") is True else []
    return ", ".join([*notes, *([f"{dropped:,.0f} dropped"] if dropped else [])])


def _means(aggregate: Mapping[str, Any]) -> list[str]:
    """The row of the aggregate."""
    cells = []
    for column in _RATED:
        value = number_of(aggregate, f"avg_{column.path[0]}")
        rated = "" if value is None else f" {rating(column.path[0], value)}"
        cells.append(f"{show_known(value, column.show)}{rated}")
    return ["mean, no MTP", *cells]


def _legend(aggregate: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What the tables' figures are of, by which thresholds they are rated, and the rules that the result states."""
    sizes = sorted({number for of in layers if (number := number_of(section_of(of, "balancedness"), "ep")) is not None})
    ranks = (
        f"mean/max of the loads of {', '.join(f'{size:.0f}' for size in sizes)} ranks, neighbouring experts together"
    )
    rules = aggregate.get("rules")
    stated = [rule.partition(": ") for rule in rules if isinstance(rule, str)] if isinstance(rules, list) else []
    return [
        ("tokens", show_known(number_of(aggregate, "tokens"), "{:,.0f}".format)),
        *((f"{it.header}, by convention", THRESHOLDS[it.path[0]].text) for it in _RATED),
        *([("EP balance", ranks)] if sizes else []),
        *((name, textwrap.fill(rule, _WIDTH)) for name, _, rule in stated),
    ]
