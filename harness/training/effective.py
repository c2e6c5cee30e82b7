"""Compare what was asked of a run with what was in effect when it ran."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from harness.launch.log.node_statement import Mixture, NodeSummary


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The settings that decide which computation runs where. None: not stated.

    `vpp` counts the virtual stages of a pipeline rank, 1 without interleaving.
    """

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
    """The statements of one launch: by its nodes, Megatron, NCCL and the embedded engine.

    `gpu` and each of `versions` are those of all nodes, or of the engine's rank 0. Where nodes differ,
    the value is left out of them and stands in `mixed`.
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
        """Make the statements of a launch from those of its nodes."""
        return cls(
            setup=Setup(),
            device="cuda" if nodes.has_gpus else None,
            gpu=nodes.gpu,
            hosts=nodes.hosts,
            versions=nodes.versions,
            mixed=nodes.mixed,
        )

    def overriding(self, other: "InEffect") -> "InEffect":
        """Merge with other statements; this one's values win where both have one."""
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
    """A setting that was asked for and was not in effect."""

    name: str
    asked: int | str | bool
    in_effect: int | str | bool

    def __str__(self) -> str:
        return f"{self.name}: asked {self.asked}, in effect {self.in_effect}"


def differences(asked: Setup, found: Setup) -> tuple[Difference, ...]:
    """List the differences; what either side does not state is not compared."""
    pairs = ((item.name, getattr(asked, item.name), getattr(found, item.name)) for item in fields(Setup))
    return tuple(
        Difference(name=name, asked=wanted, in_effect=got)
        for name, wanted, got in pairs
        if wanted is not None and got is not None and wanted != got
    )


def _stated(setup: Setup) -> dict[str, Any]:
    """The fields that a setup states."""
    values = ((item.name, getattr(setup, item.name)) for item in fields(setup))
    return {name: value for name, value in values if value is not None}
