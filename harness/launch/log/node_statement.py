"""Parse what a job's script states of each node, and summarise all nodes of a launch."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from harness.launch.log import stated_json

_NODE = "moe-harness: node "


class NodeStatement(NamedTuple):
    """One node: the names of its GPUs (None: not stated) and its software's versions, the GPU driver's as `driver`."""

    host: str
    gpus: tuple[str, ...] | None = None
    versions: Mapping[str, str] = MappingProxyType({})


def parse_node(line: str) -> NodeStatement | None:
    """Parse a node's statement; None without a host. A value of an unexpected type is left out."""
    stated = stated_json.stated_after(_NODE, line)
    host = stated_json.text(stated, "host") if stated else None
    if not stated or not host:
        return None
    driver = stated_json.text(stated, "driver")
    return NodeStatement(
        host=host,
        gpus=stated_json.texts(stated, "gpus"),
        versions=stated_json.texts_by_name(stated, "versions") | ({"driver": driver} if driver else {}),
    )


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Something in which the nodes of one run differ: `hosts` by the value that they state."""

    name: str
    hosts: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        commonest_first = sorted(self.hosts.items(), key=lambda item: -len(item[1]))
        return f"{self.name}: " + "; ".join(f"{value} on {_listed(hosts)}" for value, hosts in commonest_first)


class NodeSummary(NamedTuple):
    """All nodes of a launch. `gpu` and `versions` hold what every node states alike; `mixed` holds the differences."""

    hosts: tuple[str, ...] = ()
    gpu: str | None = None
    has_gpus: bool = False
    versions: Mapping[str, str] = MappingProxyType({})
    mixed: tuple[Mixture, ...] = ()


def summarise_nodes(nodes: Iterable[NodeStatement]) -> NodeSummary:
    """Summarise the nodes of one launch; what differs between them becomes a mixture."""
    nodes = sorted(nodes, key=lambda node: node.host)
    gpus = {gpu for node in nodes for gpu in node.gpus or ()}
    names = sorted({name for node in nodes for name in node.versions})
    versions = {name: _hosts_by_value((node.host, node.versions.get(name)) for node in nodes) for name in names}
    stated = {"GPUs": _hosts_by_value((node.host, _counted(node.gpus)) for node in nodes), **versions}
    return NodeSummary(
        hosts=tuple(node.host for node in nodes),
        gpu=next(iter(gpus)) if len(gpus) == 1 else None,
        has_gpus=bool(gpus),
        versions={name: next(iter(hosts)) for name, hosts in versions.items() if len(hosts) == 1},
        mixed=tuple(Mixture(name=name, hosts=hosts) for name, hosts in stated.items() if len(hosts) > 1),
    )


class NodesInLog:
    """The newest statement of each node, out of a log that is read line by line."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeStatement] = {}

    def feed(self, line: str) -> None:
        """Take one line, which may be a node's statement."""
        if node := parse_node(line):
            self._nodes[node.host] = node

    @property
    def versions(self) -> Mapping[str, str] | None:
        """Versions by package that all nodes state alike; None where no node states anything."""
        return summarise_nodes(self._nodes.values()).versions if self._nodes else None

    @property
    def hosts(self) -> tuple[str, ...] | None:
        """The nodes' names; None where no node states anything."""
        return summarise_nodes(self._nodes.values()).hosts if self._nodes else None


def _counted(gpus: tuple[str, ...] | None) -> str | None:
    """`8 × NVIDIA H100 80GB HBM3`, or `no GPU`; None if nothing is stated."""
    if gpus is None:
        return None
    return " + ".join(f"{count} × {name}" for name, count in sorted(Counter(gpus).items())) or "no GPU"


def _hosts_by_value(pairs: Iterable[tuple[str, str | None]]) -> Mapping[str, tuple[str, ...]]:
    """Group hosts by the value that they state; a host that states none is left out."""
    hosts: dict[str, tuple[str, ...]] = {}
    for host, value in pairs:
        if value is not None:
            hosts[value] = (*hosts.get(value, ()), host)
    return hosts


def _listed(hosts: tuple[str, ...]) -> str:
    """The hosts' names; of many, the first few."""
    return ", ".join(hosts) if len(hosts) <= 4 else f"{', '.join(hosts[:3])} and {len(hosts) - 3} more"
