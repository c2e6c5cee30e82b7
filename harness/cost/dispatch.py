"""Time to send tokens to their experts, or to bring them back: one dispatch or one combine.

Sources: DeepEP's README (a token crosses the network once a node, then goes to each rank there once, however many of
its experts that rank holds); NCCL's all-to-all sends every copy on its own.
"""

from harness.arch.moe import MoE
from harness.cost.comm import Group
from harness.cost.rates import Rates
from harness.cost.training import Dispatcher


def dispatch_s(
    ffn: MoE, token_bytes: float, tokens: float, group: Group, dispatcher: Dispatcher, rates: Rates
) -> float:
    """Seconds for a rank's `tokens` tokens of `token_bytes` each to reach `top_k` experts on `group`'s ranks."""
    if group.size == 1:
        return 0.0
    if dispatcher == "allgather":
        return _gathered_s(tokens * token_bytes, group, rates)
    local = group.local(rates.nvlink_domain)
    domains = group.size // local
    own_bytes = tokens * token_bytes
    if dispatcher == "alltoall":
        inside_s = own_bytes * ffn.top_k * (local - 1) / group.size / rates.nvlink_bytes_per_s
        across_s = own_bytes * ffn.top_k * (1 - local / group.size) / rates.all_to_all_nic_bytes_per_s
    else:
        inside_s = own_bytes * _distinct(ffn.top_k, group.size) * (local - 1) / local / rates.nvlink_bytes_per_s
        across_s = own_bytes * remote_domains(ffn, domains) / rates.nic_bytes_per_s
    return max(inside_s, across_s) + rates.constants.dispatch_s


def _distinct(draws: int, places: float) -> float:
    """Expected number of places that so many even draws hit."""
    return places * (1 - (1 - 1 / places) ** draws)


def remote_domains(ffn: MoE, domains: int) -> float:
    """Expected number of other domains among those of a token's experts, with even routing.

    Routing limited to `group_top_k` of `groups` groups reaches no more domains than the groups lie in.
    """
    if domains == 1:
        return 0.0
    limited = ffn.group_top_k > 0 and ffn.groups >= domains
    reachable = min(domains, ffn.group_top_k) if limited else domains
    return _distinct(ffn.top_k, reachable) * (domains - 1) / domains


def _gathered_s(own_bytes: float, group: Group, rates: Rates) -> float:
    """The allgather dispatcher sends every token to every rank."""
    local = group.local(rates.nvlink_domain)
    others = own_bytes * (group.size - 1)
    inside_s = others / rates.nvlink_bytes_per_s if local > 1 else 0.0
    across_s = others / (rates.nic_bytes_per_s * local) if local < group.size else 0.0
    return max(inside_s, across_s) + rates.constants.dispatch_s
