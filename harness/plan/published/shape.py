"""Network flags that a row states, as those of Megatron's functional tests do: `{num-layers: 14, swiglu: true, …}`."""

import re

from harness.config.megatron_args import ArgValue
from harness.plan.published.bases import REPLACED
from harness.plan.published.rows import PublishedRow

_PAIR = re.compile(r"([a-z][a-z0-9-]*): ([^,]+)(?:, |$)")


def stated_flags(row: PublishedRow) -> dict[str, ArgValue]:
    """Every flag in braces, `true` as a switch."""
    inside = re.fullmatch(r"\{(.*)\}", row.other_flags)
    pairs = _PAIR.findall(inside[1]) if inside else []
    return {f"--{name}": True if value == "true" else value for name, value in pairs}


def network_flags(row: PublishedRow) -> dict[str, ArgValue]:
    """Those of them that describe the network; the job's other flags have cells or facts of their own."""
    return {flag: value for flag, value in stated_flags(row).items() if flag not in REPLACED}
