"""Time of collectives, by how many ranks take part and how far apart they sit.

Ranks are numbered TP first, then CP, EP, DP, PP (Megatron's `--order tp-cp-ep-dp-pp`), and fill NVLink domains in turn.
"""

from typing import NamedTuple

from harness.cost.rates import Rates


class Group(NamedTuple):
    """`size` ranks, each `stride` ranks after the one before."""

    size: int
    stride: int = 1

    def local(self, domain: int) -> int:
        """Members in one NVLink domain of `domain` GPUs."""
        return max(1, min(self.size, domain // self.stride))


def gather_s(total_bytes: float, group: Group, rates: Rates) -> float:
    """An all-gather or reduce-scatter, as a ring: `total_bytes` is the whole tensor, not a rank's shard.

    Across domains, the members of a domain share the rings, and each brings its own NIC.
    """
    if group.size == 1:
        return 0.0
    local = group.local(rates.nvlink_domain)
    travelling = total_bytes * (group.size - 1) / group.size
    inside_s = travelling / rates.nvlink_bytes_per_s if local > 1 else 0.0
    across_s = travelling / (rates.nic_bytes_per_s * local) if local < group.size else 0.0
    return max(inside_s, across_s)


def send_s(message_bytes: float, distance: int, rates: Rates) -> float:
    """One message to the rank `distance` further on."""
    inside = distance < rates.nvlink_domain
    return message_bytes / (rates.nvlink_bytes_per_s if inside else rates.nic_bytes_per_s)
