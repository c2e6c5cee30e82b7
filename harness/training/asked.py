"""Derive the setup that the flags ask for, in the form in which a run states what is in effect."""

from collections.abc import Mapping

from harness.arch.dispatcher import asked_dispatcher
from harness.arch.parallel import parallel, world_size
from harness.arch.precision import asked_precision
from harness.config.provenance import Resolved
from harness.training.effective import Setup
from harness.training.result import TrainingResult


def asked_of(resolved: Resolved) -> Setup:
    """Derive the setup that the resolved flags ask for; Megatron's own defaults where a flag is absent."""
    flags = resolved.megatron_args
    mapping = parallel(flags, world_size(resolved))
    return Setup(
        world_size=mapping.world_size,
        tp=mapping.tp,
        pp=mapping.pp,
        vpp=mapping.vpp,
        ep=mapping.ep,
        etp=mapping.etp,
        cp=mapping.cp,
        dp=mapping.dp or None,
        dispatcher=str(asked_dispatcher(flags)) if "--num-experts" in flags else None,
        precision=asked_precision(flags).recorded,
        grouped_gemm=flags.switch("--moe-grouped-gemm") if "--num-experts" in flags else None,
        mtp_layers=flags.integer("--mtp-num-layers") or None,
    )


def initial_result(resolved: Resolved, predicted: Mapping[str, float] | None) -> TrainingResult:
    """Make the result of a training run that has not begun."""
    return TrainingResult(asked=asked_of(resolved), predicted=predicted)
