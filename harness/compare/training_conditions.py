"""What training runs must have in common for their speed to be compared (docs: what comparable means), as text."""

from collections.abc import Iterable

from harness.checkpoint.network_flags import NETWORK, NOT_COMPARED
from harness.runs.record import RunRecord
from harness.training.result import training_result

NONE = "none"
"""The value of a condition that is not set."""

_FORCED = "--moe-router-force-load-balancing"


def training_conditions(record: RunRecord) -> dict[str, str]:
    """Model, each flag of the network, sequence length, precision, routing and rule of the window, by name.

    Flags that are not set are left out, and so is what is not known, as of a run that failed early. The count of FLOPs
    is the same in all records: Megatron's.
    """
    network = (flag for flag in (*NETWORK, "--vocab-size") if flag not in NOT_COMPARED)
    return {
        "model": record.model or NONE,
        **set_flags(record, network),
        "sequence length": record.resolved.megatron_args.text("--seq-length") or NONE,
        "routing": "forced balance" if record.resolved.megatron_args.switch(_FORCED) else "real",
        **_known(record),
    }


def set_flags(record: RunRecord, names: Iterable[str]) -> dict[str, str]:
    """Those of the flags that are set, as text: a switch as `on`."""
    flags = record.resolved.megatron_args
    values = ((name, flags.text(name) or ("on" if flags.switch(name) else "")) for name in names)
    return {name: value for name, value in values if value}


def _known(record: RunRecord) -> dict[str, str]:
    """What the result knows: the precision in effect, else asked, and the rule of the window."""
    result = training_result(record.result)
    if result is None:
        return {}
    stated = result.in_effect.setup.precision if result.in_effect else None
    precision, summary = stated or result.asked.precision, result.summary
    return ({"precision": precision} if precision else {}) | (
        {"rule of the window": summary.window_rule} if summary else {}
    )
