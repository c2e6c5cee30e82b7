"""Parse the statements of the embedded engine (harness/engine/effect.py): what is in effect, and its peak memory."""

from harness.launch.log import stated_json
from harness.training.effective import InEffect, Setup
from harness.training.log.samples import PeakMemory

_IN_EFFECT = "moe-harness: in effect "
_PEAK_MEMORY = "moe-harness: peak memory "


def parse_in_effect(line: str) -> InEffect | None:
    """Parse the engine's statement of what is in effect. A value of an unexpected type is left out."""
    stated = stated_json.stated_after(_IN_EFFECT, line)
    if stated is None:
        return None
    return InEffect(
        setup=Setup(
            world_size=stated_json.count(stated, "world_size"),
            tp=stated_json.count(stated, "tp"),
            pp=stated_json.count(stated, "pp"),
            vpp=stated_json.count(stated, "vpp"),
            ep=stated_json.count(stated, "ep"),
            etp=stated_json.count(stated, "etp"),
            cp=stated_json.count(stated, "cp"),
            dp=stated_json.count(stated, "dp"),
            dispatcher=stated_json.text(stated, "dispatcher"),
            precision=stated_json.text(stated, "precision"),
            grouped_gemm=stated_json.switch(stated, "grouped_gemm"),
            mtp_layers=stated_json.count(stated, "mtp_layers"),
        ),
        device=stated_json.text(stated, "device"),
        gpu=stated_json.text(stated, "gpu"),
        hosts=stated_json.texts(stated, "hosts") or (),
        versions=stated_json.texts_by_name(stated, "versions"),
        flops_per_step=stated_json.number(stated, "flops_per_step"),
    )


def parse_peak_memory(line: str) -> PeakMemory | None:
    """Parse the engine's statement of each rank's peak memory."""
    stated = stated_json.stated_after(_PEAK_MEMORY, line)
    if stated is None:
        return None
    per_rank = stated.get("per_rank_bytes")
    kind = stated_json.text(stated, "kind")
    if not isinstance(per_rank, list) or not per_rank or not all(type(it) is int for it in per_rank) or kind is None:
        return None
    return PeakMemory(per_rank_bytes=tuple(per_rank), kind=kind)
