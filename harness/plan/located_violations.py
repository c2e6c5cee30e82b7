"""What Megatron would refuse of a configuration, each with the place where it was written."""

from harness.config.provenance import Resolved
from harness.cost.hardware import Gpu
from harness.errors import ConfigError
from harness.plan.constraints.engine import engine_release
from harness.plan.machine import known_machine
from harness.plan.verdict import violations_of
from harness.plan.violation import Violation


def located_violations(resolved: Resolved) -> list[str]:
    """Everything that Megatron or the embedded engine would refuse, and what would train something else than asked."""
    found = violations_of(resolved, _gpu(resolved))
    if resolved.embedded:
        found += engine_release(resolved.release)
    return [*(located(violation, resolved) for violation in found), *resolved.blockers]


def located(violation: Violation, resolved: Resolved) -> str:
    """`runtime.conf:12: EP=48 does not divide …; fix: …`: where the first of its names was written.

    A setting reaches Megatron through a flag, so a flag that the user wrote after `--` comes before its setting.
    """
    origins = [origin for name in violation.names if (origin := resolved.origin(name)) is not None]
    typed = [origin for origin in origins if origin.layer == "extra flags"]
    return f"{(typed or origins)[0]}: {violation}" if origins else str(violation)


def _gpu(resolved: Resolved) -> Gpu | None:
    """The GPU if it is known; the forecast says so if it is not."""
    try:
        return known_machine(resolved)
    except ConfigError:
        return None
