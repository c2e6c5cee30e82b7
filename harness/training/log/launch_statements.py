"""What the newest launch in a log states of itself, whoever says it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.launch.node_statement import NodeStatement, parse_node, summarise_nodes
from harness.training.effective import InEffect, Setup
from harness.training.log import lines as log_lines
from harness.training.log.arguments_dump import begins_dump, parse_argument, parse_sizes, setup_of
from harness.training.log.engine_statement import parse_in_effect

_ATTEMPT = re.compile(r"moe-harness: attempt \d+$")  # harness/launch/script/shell/attempt.sh


@dataclass(kw_only=True)
class _Said:
    """One launch's statements, as far as they have come; `closed`: what is stated next is of another launch."""

    closed: bool = False
    nodes: dict[str, NodeStatement] = field(default_factory=dict)
    nccl: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    speaker: str = ""
    engine: InEffect | None = None


class LaunchStatements:
    """Gathers the statements of nodes, Megatron, NCCL and the embedded engine; a new launch's replace the old one's.

    A launch makes its statements before it trains, each node one. So a node that speaks after training began, after
    the job's script announced another attempt, or again, belongs to a new launch; Megatron's sizes, or its dump's
    title, begin a launch on the same nodes.
    Where lines carry a rank's label, one rank's arguments count.
    """

    def __init__(self) -> None:
        self._said = _Said()
        self._setup = Setup()

    @property
    def world_size(self) -> int | None:
        """How many ranks the launch says it has."""
        return self._setup.world_size

    def training_began(self) -> None:
        """The launch trains: what is stated from now on is of another launch."""
        self._said.closed = True

    def read(self, line: str) -> None:
        """Take one line of the log."""
        if _ATTEMPT.match(line):
            self._said.closed = True
        if node := parse_node(line):
            self._take_node(node)
        if nccl := log_lines.parse_nccl_version(line):
            self._said.nccl = {"nccl": nccl}
        sizes = parse_sizes(line)
        if (sizes is not None or begins_dump(line)) and self._is_no_copy(line):
            self._begin_megatron(sizes or self._said.sizes, log_lines.label(line))
        if (argument := parse_argument(line)) and log_lines.label(line) in ("", self._said.speaker):
            self._said.arguments |= [argument]
            self._setup = self._stated_setup()
        if engine := parse_in_effect(line):
            self._said.engine = engine
            self._setup = self._stated_setup()

    def in_effect(self) -> InEffect | None:
        """All statements in one; None if there is none. The engine, which looks at what it built, has the last word."""
        said = self._said
        if not (said.nodes or said.nccl or said.sizes or said.arguments or said.engine):
            return None
        stated = InEffect(setup=self._setup, versions=said.nccl).over(
            InEffect.of_nodes(summarise_nodes(said.nodes.values()))
        )
        return said.engine.over(stated) if said.engine else stated

    def _take_node(self, node: NodeStatement) -> None:
        if self._said.closed or node.host in self._said.nodes:
            self._said = _Said()
            self._setup = Setup()
        self._said.nodes[node.host] = node

    def _is_no_copy(self, line: str) -> bool:
        """Whether this is not another rank's copy of what this launch has stated."""
        said = self._said
        return said.closed or not (said.sizes or said.arguments) or log_lines.label(line) == said.speaker

    def _begin_megatron(self, sizes: Mapping[str, str], speaker: str) -> None:
        said = self._said
        self._said = _Said(nodes=said.nodes, nccl=said.nccl, sizes=sizes, speaker=speaker)
        self._setup = self._stated_setup()

    def _stated_setup(self) -> Setup:
        said = self._said
        printed = InEffect(setup=setup_of({**said.sizes, **said.arguments}))
        return said.engine.over(printed).setup if said.engine else printed.setup
