"""The evidence of a failed attempt, and the ranks and nodes that its log's lines name."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.launch.slurm.hostlist import expand_hosts

_LABEL = re.compile(r" *(\d+): (?!slurmstepd.* CANCELLED AT )")  # that is about the whole step
_RANK = re.compile(r"\[rank(\d+)\]|moe-harness: rank (\d+)|Unexpected result .* on rank (\d+)|\bRank (\d+), node ")
_TASKS = re.compile(r"error: (?P<node>[^ :]+): tasks? (?P<tasks>\d+(?:[-,]\d+)*):")
_NODE = re.compile(
    r"Node failure on ([^ ,]+)|moe-harness: (?:rank \d+ on )?([^ ]+?): |slurmstepd-([^ :]+): error: Detected \d+ oom"
)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The evidence of a failed attempt; None or empty: not known.

    `log_lines` are at least those that a signature matches (`log_search.matching_lines`). `exit_codes` are each rank's
    own, by rank; `first_rank` is the first failing one, `traceback` its traceback or else its last lines. `slurm_state`
    is Slurm's own (`NODE_FAIL`), `nodes` in the ranks' order, `free_bytes` what the run's file system has
    left, `predicted` what the cost model foresaw of the run.
    """

    log_lines: Sequence[str] = ()
    exit_codes: Mapping[int, int] = field(default_factory=dict)
    first_rank: int | None = None
    traceback: str | None = None
    slurm_state: str | None = None
    free_bytes: int | None = None
    predicted: Mapping[str, float] | None = None
    ranks_per_node: int | None = None
    nodes: Sequence[str] = ()

    @property
    def rank_count(self) -> int | None:
        """The number of ranks of the job."""
        return self.ranks_per_node * len(self.nodes) if self.ranks_per_node and self.nodes else None

    def nodes_of(self, ranks: Collection[int]) -> tuple[str, ...]:
        """The nodes on which ranks ran."""
        if not self.ranks_per_node:
            return ()
        indices = sorted({rank // self.ranks_per_node for rank in ranks})
        return tuple(self.nodes[index] for index in indices if index < len(self.nodes))


def ranks_in(line: str) -> Iterator[int]:
    """Find the ranks that a line is about: by srun's list of tasks, by the line's text, else by its label."""
    if tasks := _TASKS.search(line):
        yield from map(int, expand_hosts(f"[{tasks['tasks']}]"))
    elif named := _RANK.search(line):
        yield from (int(rank) for rank in named.groups() if rank)
    elif label := _LABEL.match(line):
        yield int(label[1])


def label_of(line: str) -> int | None:
    """The rank that wrote a line, by its label; None without one."""
    label = _LABEL.match(line)
    return int(label[1]) if label else None


def nodes_in(line: str) -> Iterator[str]:
    """Find the nodes that a line names."""
    if tasks := _TASKS.search(line):
        yield tasks["node"]
    for found in _NODE.finditer(line):
        yield from (node for node in found.groups() if node)
