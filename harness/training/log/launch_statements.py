"""Collect the statements of the newest launch in a log."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.launch.log.node_statement import NodeStatement, parse_node, summarise_nodes
from harness.training.effective import InEffect, Setup
from harness.training.log import lines as log_lines
from harness.training.log.arguments_dump import begins_dump, parse_argument, parse_sizes, setup_of
from harness.training.log.engine_statement import parse_in_effect

_ATTEMPT = re.compile(r"moe-harness: attempt \d+$")  # harness/launch/script/shell/attempt.sh


@dataclass(kw_only=True)
class _Statements:
    """The statements of one launch so far; once `closed`, the next statement belongs to another launch."""

    closed: bool = False
    nodes: dict[str, NodeStatement] = field(default_factory=dict)
    nccl: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    rank_label: str = ""
    engine: InEffect | None = None


class LaunchStatements:
    """Collects the statements of nodes, Megatron, NCCL and the embedded engine; a new launch's replace the old one's.

    A launch makes its statements before it trains, each node one. So a node statement after training began, after
    the job's script announced another attempt, or by the same node again, belongs to a new launch; Megatron's sizes,
    or its dump's title, begin a launch on the same nodes.
    Where lines carry a rank's label, one rank's arguments count.
    """

    def __init__(self) -> None:
        self._newest = _Statements()
        self._setup = Setup()

    @property
    def world_size(self) -> int | None:
        """The number of ranks that the launch states."""
        return self._setup.world_size

    def training_began(self) -> None:
        """Note that the launch trains: later statements belong to another launch."""
        self._newest.closed = True

    def read(self, line: str) -> None:
        """Take one line of the log."""
        if _ATTEMPT.match(line):
            self._newest.closed = True
        if node := parse_node(line):
            self._take_node(node)
        if nccl := log_lines.parse_nccl_version(line):
            self._newest.nccl = {"nccl": nccl}
        sizes = parse_sizes(line)
        if (sizes is not None or begins_dump(line)) and self._is_no_copy(line):
            self._begin_megatron(sizes or self._newest.sizes, log_lines.label(line))
        if (argument := parse_argument(line)) and log_lines.label(line) in ("", self._newest.rank_label):
            self._newest.arguments |= [argument]
            self._setup = self._stated_setup()
        if engine := parse_in_effect(line):
            self._newest.engine = engine
            self._setup = self._stated_setup()

    def in_effect(self) -> InEffect | None:
        """Merge all statements; None if there is none. The engine's win, for it looks at what it built."""
        newest = self._newest
        if not (newest.nodes or newest.nccl or newest.sizes or newest.arguments or newest.engine):
            return None
        stated = InEffect(setup=self._setup, versions=newest.nccl).overriding(
            InEffect.of_nodes(summarise_nodes(newest.nodes.values()))
        )
        return newest.engine.overriding(stated) if newest.engine else stated

    def _take_node(self, node: NodeStatement) -> None:
        if self._newest.closed or node.host in self._newest.nodes:
            self._newest = _Statements()
            self._setup = Setup()
        self._newest.nodes[node.host] = node

    def _is_no_copy(self, line: str) -> bool:
        """Whether a line is not another rank's copy of what the launch has stated."""
        newest = self._newest
        return newest.closed or not (newest.sizes or newest.arguments) or log_lines.label(line) == newest.rank_label

    def _begin_megatron(self, sizes: Mapping[str, str], rank_label: str) -> None:
        newest = self._newest
        self._newest = _Statements(nodes=newest.nodes, nccl=newest.nccl, sizes=sizes, rank_label=rank_label)
        self._setup = self._stated_setup()

    def _stated_setup(self) -> Setup:
        newest = self._newest
        printed = InEffect(setup=setup_of({**newest.sizes, **newest.arguments}))
        return newest.engine.overriding(printed).setup if newest.engine else printed.setup
