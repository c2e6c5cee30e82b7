"""What Megatron would say of a resolved configuration, before it is run, and where what it would refuse was written."""

from typing import TYPE_CHECKING

from harness.arch.parallel import world_size
from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.plan.constraints.check import check
from harness.plan.constraints.engine import engine_release
from harness.plan.violation import Violation

if TYPE_CHECKING:  # a launch that names no GPU starts faster without the cost model
    from harness.cost.hardware import Gpu


def violations_of(resolved: Resolved, gpu: "Gpu | None" = None) -> list[Violation]:
    """What Megatron would refuse of it, on this GPU if it is known."""
    return check(
        resolved.megatron_args,
        world_size(resolved),
        gpus_per_node=resolved.integer("GPUS_PER_NODE", 1),
        release=resolved.release,
        te=resolved.transformer_engine,
        gpu=gpu.name if gpu else None,
        env=resolved.env,
    )


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


def _gpu(resolved: Resolved) -> "Gpu | None":
    """The GPU if it is named and known; the forecast says so if it is not known."""
    if not resolved.text("GPU"):
        return None
    from harness.plan.machine import known_machine

    try:
        return known_machine(resolved)
    except ConfigError:
        return None
