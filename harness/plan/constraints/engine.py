"""What the embedded engine's layers cannot do, and what they cannot be run by."""

from collections.abc import Iterator

from harness.config.releases import EMBEDDED_RELEASE, Release
from harness.plan.violation import Case, Violation


def fp8(case: Case) -> Iterator[Violation]:
    """Only Transformer Engine has fp8 GEMMs."""
    if "--fp8-format" in case.args and case.args.text("--transformer-impl") == "local":
        yield Violation(
            constraint="fp8",
            message=f"fp8 ({case.args.text('--fp8-format')}) needs Transformer Engine, and --transformer-impl is local",
            fix="PR=bf16 or PR=fp32, or set MEGATRON_PATH and run where Transformer Engine is",
            names=("PR", "--fp8-format"),
        )


def engine_release(release: Release) -> Iterator[Violation]:
    """The embedded engine imports the megatron-core that is installed with it."""
    if release != EMBEDDED_RELEASE:
        yield Violation(
            constraint="engine-release",
            message=f"the embedded engine is Megatron-Core {EMBEDDED_RELEASE}, not {release}",
            fix=f"MCORE_RELEASE_VERSION={EMBEDDED_RELEASE}, or set MEGATRON_PATH to a checkout of {release}",
            names=("MCORE_RELEASE_VERSION",),
        )
