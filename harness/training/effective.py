"""What was asked of a run beside what was in effect when it ran, and where the two differ."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Resolved
from harness.launch.node_statement import Mixture, NodeSummary


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What decides which computation runs where. None: not stated."""

    world_size: int | None = None
    tp: int | None = None
    pp: int | None = None
    vpp: int | None = None
    ep: int | None = None
    etp: int | None = None
    cp: int | None = None
    dp: int | None = None
    dispatcher: str | None = None
    precision: str | None = None
    grouped_gemm: bool | None = None
    mtp_layers: int | None = None


@dataclass(frozen=True, kw_only=True)
class InEffect:
    """What a launch states of itself: its nodes, Megatron, NCCL and the embedded engine.

    `gpu` and each of `versions` are those of all nodes, or of the engine's rank 0. What nodes do not have alike is
    left out of them and stands in `mixed`.
    `flops_per_step` counts all ranks, by Megatron's convention.
    """

    setup: Setup
    device: str | None = None
    gpu: str | None = None
    hosts: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    flops_per_step: float | None = None
    mixed: tuple[Mixture, ...] = ()

    @classmethod
    def of_nodes(cls, nodes: NodeSummary) -> "InEffect":
        """What the nodes' own statements tell."""
        return cls(
            setup=Setup(),
            device="cuda" if nodes.has_gpus else None,
            gpu=nodes.gpu,
            hosts=nodes.hosts,
            versions=nodes.versions,
            mixed=nodes.mixed,
        )

    def over(self, other: "InEffect") -> "InEffect":
        """Both statements in one; this one's word counts where both have one."""
        return InEffect(
            setup=replace(other.setup, **_stated(self.setup)),
            device=self.device or other.device,
            gpu=self.gpu or other.gpu,
            hosts=self.hosts or other.hosts,
            versions={**other.versions, **self.versions},
            flops_per_step=self.flops_per_step or other.flops_per_step,
            mixed=self.mixed or other.mixed,
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that ran otherwise than asked."""

    name: str
    asked: int | str | bool
    in_effect: int | str | bool

    def __str__(self) -> str:
        return f"{self.name}: asked {self.asked}, in effect {self.in_effect}"


def differences(asked: Setup, found: Setup) -> tuple[Difference, ...]:
    """Where the run was not what was asked; what either side leaves unsaid is not compared."""
    pairs = ((item.name, getattr(asked, item.name), getattr(found, item.name)) for item in fields(Setup))
    return tuple(
        Difference(name=name, asked=wanted, in_effect=got)
        for name, wanted, got in pairs
        if wanted is not None and got is not None and wanted != got
    )


def asked_of(resolved: Resolved) -> Setup:
    """The setup that the resolved flags ask for; Megatron's own defaults where a flag is absent."""
    flags = resolved.megatron_args
    world_size = resolved.integer("NNODES", 1) * resolved.integer("GPUS_PER_NODE", 1)
    tp = flags.integer("--tensor-model-parallel-size", 1)
    pp = flags.integer("--pipeline-model-parallel-size", 1)
    cp = flags.integer("--context-parallel-size", 1)
    return Setup(
        world_size=world_size,
        tp=tp,
        pp=pp,
        vpp=flags.integer("--num-virtual-stages-per-pipeline-rank") or None,
        ep=flags.integer("--expert-model-parallel-size", 1),
        etp=flags.integer("--expert-tensor-parallel-size", tp),
        cp=cp,
        dp=world_size // (tp * pp * cp) or None,
        dispatcher=_asked_dispatcher(flags) if "--num-experts" in flags else None,
        precision=asked_precision(flags),
        grouped_gemm=flags.switch("--moe-grouped-gemm") if "--num-experts" in flags else None,
        mtp_layers=flags.integer("--mtp-num-layers") or None,
    )


def asked_precision(flags: MegatronArgs) -> str:
    """The precision that the flags ask for, as `lowest_precision` names it."""
    return lowest_precision(
        fp4="--fp4-format" in flags,
        fp8="--fp8-format" in flags,
        recipe=flags.text("--fp8-recipe"),
        bf16=flags.switch("--bf16"),
        fp16=flags.switch("--fp16"),
    )


def lowest_precision(*, fp4: bool, fp8: bool, recipe: str | None, bf16: bool, fp16: bool) -> str:
    """`nvfp4`, `mxfp8`, `fp8`, `bf16`, `fp16` or `fp32`: the lowest that is turned on. `recipe` is that of fp8."""
    if fp4:
        return "nvfp4"
    if fp8:
        return "mxfp8" if recipe == "mxfp8" else "fp8"
    return "bf16" if bf16 else "fp16" if fp16 else "fp32"


def _asked_dispatcher(flags: MegatronArgs) -> str:
    """The dispatcher with the flex type's backend, `flex:deepep`: before 0.16 that has no other."""
    kind = flags.text("--moe-token-dispatcher-type", "allgather")
    if kind != "flex":
        return kind
    deepep = flags.switch("--moe-enable-deepep")
    return f"flex:{'deepep' if deepep else flags.text('--moe-flex-dispatcher-backend', 'deepep')}"


def _stated(setup: Setup) -> dict[str, Any]:
    """What a setup does state."""
    values = ((item.name, getattr(setup, item.name)) for item in fields(setup))
    return {name: value for name, value in values if value is not None}
