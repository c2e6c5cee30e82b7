"""What a row's own cells and prose say of how its job was run, as facts."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.arch.layout import layout_stages
from harness.config.megatron_args import MegatronArgs
from harness.plan.published.facts import Facts, over
from harness.plan.published.rows import PublishedRow
from harness.plan.published.shape import stated_flags

_RECIPES = (
    ("mx", "mxfp8"),
    ("nvfp4", "nvfp4"),
    ("block|sc|ss|sub", "blockwise"),
    ("cs|current|tensor", "tensorwise"),
    ("ds|delayed", "delayed"),
    ("bf16|bfloat", "bf16"),
)

_SHORT_MODULES = {
    "norm": "layernorm",
    "act": "moe_act",
    "shared_expert": "shared_experts",
    "up_proj": "mla_up_proj",
}

type StatedFacts = Iterator[tuple[str, Any]]


def precision(row: PublishedRow) -> Mapping[str, Any]:
    """The recipe of the precision cell; nothing where it only says FP8, or nothing."""
    words = re.split(r"[^a-z0-9]+", row.precision.lower())
    for pattern, recipe in _RECIPES:
        if any(re.match(pattern, word) for word in words):
            return {"recipe": recipe}
    return {}


def hints(row: PublishedRow) -> Mapping[str, Any]:
    """Loose words that the recipes themselves make exact, e.g. "partial CG"."""
    found: dict[str, Any] = {}
    if _remark(row, r"router/preprocess CG"):
        found["cuda_graph"] = ("moe_router", "moe_preprocess")
    elif _remark(row, r"partial CG"):
        found["cuda_graph"] = ("attn", "moe_router", "moe_preprocess")
    return found


def stated(row: PublishedRow) -> Mapping[str, Any]:
    """What the row says in so many words; it stands above everything that is known of its source."""
    return dict(fact for reader in _READERS for fact in reader(row))


def with_cells(row: PublishedRow, known: Facts, facts: Mapping[str, Any]) -> Facts:
    """Facts of this row's cells over what is known."""
    return over(known, facts, f"line {row.line}") if facts else known


def _remark(row: PublishedRow, pattern: str) -> re.Match[str] | None:
    return re.search(pattern, row.remarks, re.IGNORECASE)


def _recompute(row: PublishedRow) -> StatedFacts:
    words = re.findall(r"\w+", row.recompute.lower())
    if words[:1] in (["none"], ["full"]):
        yield "recompute", tuple(words[:1])
    elif modules := tuple(_SHORT_MODULES.get(word, word) for word in words if word != "selective"):
        yield "recompute", modules


def _dispatcher(row: PublishedRow) -> StatedFacts:
    if found := re.search(r"allgather|all-?to-?all|a2a|deepep|hybridep", row.dispatcher, re.IGNORECASE):
        name = found[0].lower()
        yield "dispatcher", "alltoall" if name in ("a2a", "all-to-all") else name


def _cuda_graph(row: PublishedRow) -> StatedFacts:
    if _remark(row, r"full CG|full[- ]iteration (cuda )?graph"):
        yield "cuda_graph", ("full",)
    elif _remark(row, r"cuda[- ]graphs? (off|none|disabled)"):
        yield "cuda_graph", ("none",)
    elif found := _remark(row, r"cuda[- ]graphs? ((?:(?:attn|mlp|moe\w*)[ +,/]*)+)"):
        yield "cuda_graph", tuple(re.findall(r"\w+", found[1].lower()))


def _overlap(row: PublishedRow) -> StatedFacts:
    if found := _remark(row, r"A2A_OVERLAP=([01])|(?:1F1B|EP)(?: EP)? overlap\b ?(on|off)?"):
        yes = found[1] == "1" if found[1] else (found[2] or "on").lower() == "on"
        yield "a2a_overlap", yes
        yield "delay_wgrad", yes and not _remark(row, r"delay_wgrad off|wgrad off")


def _routing(row: PublishedRow) -> StatedFacts:
    if _remark(row, r"forced? (expert )?balanc|force-?load-?balanc|force-balanced|forced-balanced"):
        yield "routing", "balanced"
    elif _remark(row, r"real routing"):
        yield "routing", "real"
    elif _remark(row, r"token ?drop"):
        yield "routing", "drop"


def _pipeline(row: PublishedRow) -> StatedFacts:
    if found := _remark(row, r"\blayout:? (E\S*L)"):
        yield "layout", found[1]
        yield "mtp_layers", found[1].count("m")
        yield from _virtual(row, found[1])
    if found := re.search(r"\bVPP(\d+)", row.other_flags):  # notes speak of other tables too
        yield "vpp", int(found[1])


def _virtual(row: PublishedRow, layout: str) -> StatedFacts:
    """The stages of a layout, where the row counts none."""
    if row.pp and row.vpp is None:
        yield "vpp", len(layout_stages(layout)) // row.pp


def _network(row: PublishedRow) -> StatedFacts:
    """Functional tests list their network's flags."""
    flags = MegatronArgs(stated_flags(row))
    if flags:
        yield "mtp_layers", flags.integer("--mtp-num-layers")
    if layout := flags.text("--pipeline-model-parallel-layout"):
        yield "layout", layout
        yield from _virtual(row, layout)


def _mtp(row: PublishedRow) -> StatedFacts:
    if found := _remark(row, r"(w/o|no|without|w/|with)? ?\bMTP=?(\d?)\b"):
        without = (found[1] or "").lower() in ("w/o", "no", "without")
        yield "mtp_layers", 0 if without else int(found[2] or 1)


def _sharding(row: PublishedRow) -> StatedFacts:
    if found := _remark(row, r"\b[FH]SDP(?:=(\S+))?"):
        yield "fsdp", (found[1] or "on").lower().strip(";,") not in ("0", "/", "off")


def _offload(row: PublishedRow) -> StatedFacts:
    if found := _remark(row, r"OPTIMIZER_OFFLOAD=([01])"):
        yield "optimizer_offload", float(found[1])


def _stash(row: PublishedRow) -> StatedFacts:
    if _remark(row, r"paged stash"):
        yield "paged_stash", True


_READERS: tuple[Callable[[PublishedRow], StatedFacts], ...] = (
    _recompute,
    _dispatcher,
    _cuda_graph,
    _overlap,
    _routing,
    _pipeline,
    _network,
    _mtp,
    _sharding,
    _offload,
    _stash,
)
