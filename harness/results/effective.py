"""What was asked of a run beside what was in effect when it ran, and where the two differ."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Resolved
from harness.results.samples import PeakMemory

_IN_EFFECT = "moe-harness: in effect "
_PEAK_MEMORY = "moe-harness: peak memory "
_DECODER = json.JSONDecoder()


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
    """What the engine states when it begins to train. `flops_per_step` counts all ranks, by Megatron's convention."""

    setup: Setup
    device: str | None = None
    gpu: str | None = None
    hosts: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    flops_per_step: float | None = None


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
        dispatcher=flags.text("--moe-token-dispatcher-type", "allgather") if "--num-experts" in flags else None,
        precision=asked_precision(flags),
        grouped_gemm=flags.switch("--moe-grouped-gemm") if "--num-experts" in flags else None,
        mtp_layers=flags.integer("--mtp-num-layers") or None,
    )


def asked_precision(flags: MegatronArgs) -> str:
    """`mxfp8`, `fp8`, `bf16`, `fp16` or `fp32`: the lowest precision the flags turn on."""
    if "--fp8-format" in flags:
        return "mxfp8" if flags.text("--fp8-recipe") == "mxfp8" else "fp8"
    return next((name for name in ("bf16", "fp16") if flags.switch(f"--{name}")), "fp32")


def parse_in_effect(line: str) -> InEffect | None:
    """The engine's statement of what is in effect. A value of an unexpected type is left out."""
    stated = _json_after(_IN_EFFECT, line)
    if stated is None:
        return None
    versions = stated.get("versions")
    hosts = stated.get("hosts")
    return InEffect(
        setup=Setup(
            world_size=_count(stated, "world_size"),
            tp=_count(stated, "tp"),
            pp=_count(stated, "pp"),
            vpp=_count(stated, "vpp"),
            ep=_count(stated, "ep"),
            etp=_count(stated, "etp"),
            cp=_count(stated, "cp"),
            dp=_count(stated, "dp"),
            dispatcher=_text(stated, "dispatcher"),
            precision=_text(stated, "precision"),
            grouped_gemm=_switch(stated, "grouped_gemm"),
            mtp_layers=_count(stated, "mtp_layers"),
        ),
        device=_text(stated, "device"),
        gpu=_text(stated, "gpu"),
        hosts=tuple(str(host) for host in hosts) if isinstance(hosts, list) else (),
        versions={name: str(it) for name, it in versions.items() if it} if isinstance(versions, dict) else {},
        flops_per_step=_number(stated, "flops_per_step"),
    )


def parse_peak_memory(line: str) -> PeakMemory | None:
    """The engine's statement of each rank's largest use of memory."""
    stated = _json_after(_PEAK_MEMORY, line)
    if stated is None:
        return None
    per_rank = stated.get("per_rank_bytes")
    kind = _text(stated, "kind")
    if not isinstance(per_rank, list) or not per_rank or not all(type(it) is int for it in per_rank) or kind is None:
        return None
    return PeakMemory(per_rank_bytes=tuple(per_rank), kind=kind)


def _json_after(marker: str, line: str) -> dict[str, object] | None:
    """The JSON object after a marker; None if there is none or it is torn."""
    at = line.find(marker)
    if at < 0:
        return None
    try:
        stated, _ = _DECODER.raw_decode(line, at + len(marker))
    except (ValueError, RecursionError):
        return None
    return stated if isinstance(stated, dict) else None


def _count(stated: Mapping[str, object], name: str) -> int | None:
    value = stated.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _switch(stated: Mapping[str, object], name: str) -> bool | None:
    value = stated.get(name)
    return value if isinstance(value, bool) else None


def _number(stated: Mapping[str, object], name: str) -> float | None:
    value = stated.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _text(stated: Mapping[str, object], name: str) -> str | None:
    value = stated.get(name)
    return value if isinstance(value, str) else None
