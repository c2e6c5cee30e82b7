"""The options to run any mapping with: token dispatcher, its overlap with computation, and what is recomputed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from harness.arch.model import ModelArch
from harness.arch.moe import MoE
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.provenance import Resolved
from harness.config.releases import load
from harness.config.setting_flags import FLAG_OF_SETTING
from harness.cost.hardware import Gpu
from harness.cost.training import Recompute, Training
from harness.errors import ConfigError
from harness.plan.predict import job_of
from harness.plan.space.pipeline_splits import PipelineSplit, split_flags
from harness.plan.space.recompute_sets import FLAGS, recompute_flags, recompute_sets
from harness.plan.space.settings import WHOLE
from harness.plan.verdict import violations_of
from harness.plan.violation import Violation

type Resolve = Callable[[Mapping[str, str]], Resolved]
"""The user's configuration with these settings on top."""


@dataclass(frozen=True, kw_only=True)
class ExecutionOption:
    """The settings that ask for it, the unsplit model's job with them, and the sets that may be recomputed."""

    settings: Mapping[str, str]
    resolved: Resolved
    job: Training
    recomputes: tuple[Recompute, ...]

    @property
    def exchanges(self) -> bool:
        """Whether it needs ranks to exchange tokens with: a flex dispatcher, or overlap of the exchange."""
        return self.job.overlap.expert or self.job.dispatcher in ("deepep", "hybridep")


def base_of(resolve: Resolve) -> Resolved:
    """The user's configuration of the unsplit model."""
    return resolve(WHOLE)


def dispatchers(gpu: Gpu) -> tuple[str, ...]:
    """DeepEP, or HybridEP where an NVLink domain is larger than a node: for the cost model they are alike."""
    return ("alltoall", "hybridep" if gpu.nvlink_domain > 8 else "deepep")


def asked_options(resolve: Resolve, gpu: Gpu, fixed: Mapping[str, str]) -> Iterator[tuple[Mapping[str, str], Resolved]]:
    """Each dispatcher with and without A2A_OVERLAP, as far as the user left it open and the release has it."""
    chosen = (fixed["MOE_TOKEN_DISPATCHER"],) if "MOE_TOKEN_DISPATCHER" in fixed else dispatchers(gpu)
    overlaps = (fixed["A2A_OVERLAP"],) if "A2A_OVERLAP" in fixed else ("0", "1")
    for dispatcher in chosen:
        for overlap in overlaps:
            settings = {"MOE_TOKEN_DISPATCHER": dispatcher, "A2A_OVERLAP": overlap}
            try:
                yield settings, resolve({**WHOLE, **settings})
            except ConfigError:
                if "MOE_TOKEN_DISPATCHER" in fixed:
                    raise


def execution_options(
    resolve: Resolve, gpu: Gpu, split: PipelineSplit, fixed: Mapping[str, str]
) -> tuple[list[ExecutionOption], list[Violation]]:
    """What Megatron would run on a mapping with virtual stages (`split`) and experts in parts; and else why not."""
    found: list[ExecutionOption] = []
    refused: list[Violation] = []
    seen = set()
    for settings, resolved in asked_options(resolve, gpu, fixed):
        job = job_of(resolved)
        if (job.dispatcher, job.overlap) in seen:  # a release, or the embedded engine, that has no such thing
            continue
        seen.add((job.dispatcher, job.overlap))
        verdicts = {one: _violations(resolved, job, split, one, gpu) for one in _recomputes(resolved, job)}
        allowed = tuple(one for one, violations in verdicts.items() if not violations)
        if allowed:
            found.append(ExecutionOption(settings=settings, resolved=resolved, job=job, recomputes=allowed))
        refused = refused or next(iter(verdicts.values()))
    return found, refused


def _recomputes(resolved: Resolved, job: Training) -> tuple[Recompute, ...]:
    """All sets, unless the user's own flags say what to recompute, or the release cannot name modules."""
    if any(flag in resolved.megatron_args for flag in (*FLAGS, "--recompute-activations")):
        return (job.recompute,)
    has_modules = load(resolved.text("MCORE_RELEASE_VERSION")).option("--recompute-modules") is not None
    return tuple(one for one in recompute_sets(job.arch) if has_modules or one.granularity != "selective")


def _violations(
    resolved: Resolved, job: Training, split: PipelineSplit, recompute: Recompute, gpu: Gpu
) -> list[Violation]:
    """What Megatron refuses of it on a mapping that has room for everything else."""
    ep = experts(job.arch)
    nodes = split.pp * ep
    mapping = {
        **split_flags(split.pp, split.vpp, split.layout),
        FLAG_OF_SETTING["EP"]: str(ep),
        FLAG_OF_SETTING["GBS"]: str(nodes * resolved.integer("GPUS_PER_NODE", 1)),
    }
    return violations_of(with_flags(resolved, {**mapping, **added_flags(resolved, recompute)}, nodes), gpu)


def experts(arch: ModelArch) -> int:
    """Routed experts of a layer; 1 in a dense model."""
    return max((layer.ffn.experts for layer in arch.layers if isinstance(layer.ffn, MoE)), default=1)


def added_flags(resolved: Resolved, recompute: Recompute) -> Mapping[str, ArgValue]:
    """Flags for Megatron beside the settings; none where the user's own flags say what to recompute."""
    if any(flag in resolved.megatron_args for flag in FLAGS):
        return {}
    return recompute_flags(recompute)


def with_flags(resolved: Resolved, flags: Mapping[str, ArgValue], nodes: int | None = None) -> Resolved:
    """The configuration with these flags in place of its own, on so many nodes if that is said."""
    settings = resolved.settings if nodes is None else {**resolved.settings, "NNODES": nodes}
    args = MegatronArgs({**resolved.megatron_args, **flags})
    return replace(resolved, megatron_args=args, settings=settings)
