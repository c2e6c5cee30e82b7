"""What is known of a measured job beyond its mapping: from facts.yaml, read in the sources' own repositories."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from harness.plan.published.rows import PublishedRow

FACTS = Path(__file__).with_name("facts.yaml")

COLLECTIONS = ("features", "flags", "guessed", "origins")
"""Fields of Facts that gather what every entry adds."""

type Recipe = Literal["bf16", "tensorwise", "delayed", "blockwise", "mxfp8", "nvfp4"]

_LISTED = re.compile(r"[\w -]+(?:\|[\w -]+)*")


class Facts(NamedTuple):
    """How a job was run. None: neither the row nor its source says.

    `release` is the Megatron-Core release whose code ran, roughly. `recipe` is the precision of the GEMMs: bf16, or a
    quantization. `recompute` and `cuda_graph` are `("none",)`, `("full",)` or modules by Megatron's names;
    `a2a_overlap` hides the experts' all-to-all behind another micro-batch, `delay_wgrad` splits weight gradients off
    for it. `layout` is a `--pipeline-model-parallel-layout`, or `ends`: embedding and loss count as a
    layer each. `routing` is balanced (forced), real, or drop (capacity factor 1). `etp` is
    `tp` where experts are split like the rest. `dp_overlap` holds those of grad, param that overlap.
    `optimizer_offload` is the fraction whose states live in host memory. `ci` is a functional test, whose step time
    measures no performance. `features` are what made software faster and
    is no Megatron flag; `flags` are further Megatron flags. `guessed` names facts that are a guess, `origins` say
    where all was read.
    """

    release: str | None = None
    recipe: Recipe | None = None
    n_gpus: int | None = None
    pp: int | None = None
    vpp: int | None = None
    etp: str | None = None
    mbs: int | None = None
    dispatcher: str | None = None
    recompute: tuple[str, ...] | None = None
    cuda_graph: tuple[str, ...] | None = None
    a2a_overlap: bool | None = None
    delay_wgrad: bool | None = None
    layout: str | None = None
    mtp_layers: int | None = None
    routing: Literal["balanced", "real", "drop"] | None = None
    optimizer: str | None = None
    main_grads: str | None = None
    moments: str | None = None
    grad_reduce: str | None = None
    fp8_param_gather: bool | None = None
    optimizer_offload: float | None = None
    activation_offload: tuple[str, ...] | None = None
    dp_overlap: tuple[str, ...] | None = None
    tp_comm_overlap: bool | None = None
    shared_expert_overlap: bool | None = None
    router_fusion: bool | None = None
    cross_entropy: str | None = None
    paged_stash: bool | None = None
    fsdp: bool | None = None
    ci: bool | None = None
    features: tuple[str, ...] = ()
    flags: Mapping[str, str | bool] = MappingProxyType({})
    guessed: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


class SourceEntry(NamedTuple):
    """Facts and the rows they hold for; every condition that is given must hold.

    `source` and `says` are searched in the row's source and remarks; `model`, `gpu`, `dispatcher` and `recipe` must
    match whole: regular expressions, case ignored. `where` gives the mapping, e.g. `{"pp": 4, "vpp": 4}`.
    """

    facts: Mapping[str, Any]
    origin: str
    source: str = ""
    says: str = ""
    model: str = ".*"
    gpu: str = ".*"
    dispatcher: str = ".*"
    recipe: str = ".*"
    where: Mapping[str, int] = MappingProxyType({})

    def holds(self, row: PublishedRow, known: Facts) -> bool:
        """Whether a row of which this much is known is one of them."""
        return (  # numbers first, for they need no pattern to be compiled
            all(_number(row, known, name) == value for name, value in self.where.items())
            and _is(self.model, row.model)
            and _is(self.gpu, row.gpu)
            and _found(self.source, row.source)
            and _found(self.says, row.remarks)
            and _is(self.dispatcher, row.dispatcher)
            and _is(self.recipe, known.recipe or row.precision)
        )


def _found(pattern: str, text: str) -> bool:
    if names := _names(pattern):
        return any(name in text.lower() for name in names)
    return re.search(pattern, text, re.IGNORECASE) is not None


def _is(pattern: str, text: str) -> bool:
    if names := _names(pattern):
        return text.lower() in names
    return re.fullmatch(pattern, text, re.IGNORECASE) is not None


def _names(pattern: str) -> list[str]:
    """The names that a pattern lists, `A|B`, in lower case; none of any other: most are such, and need no compiling."""
    return pattern.lower().split("|") if _LISTED.fullmatch(pattern) else []


def _number(row: PublishedRow, known: Facts, name: str) -> int:
    """A part of the mapping: as printed, else as known so far, else 1."""
    return getattr(row, name) or getattr(known, name, None) or 1


def gathered(row: PublishedRow, known: Facts, entries: Sequence[SourceEntry] | None = None) -> Facts:
    """Everything that the entries say of a row: in order, later ones over earlier ones, `known` as the first."""
    for entry in shipped_entries() if entries is None else entries:
        if entry.holds(row, known):
            known = over(known, entry.facts, entry.origin)
    return known


def over(known: Facts, facts: Mapping[str, Any], origin: str) -> Facts:
    """Facts over what was known; features and flags add up, and what is now stated is no guess any more."""
    stated = {name: _tuple(value) for name, value in facts.items()}
    kept = tuple(name for name in known.guessed if name not in stated)
    added = {
        "features": tuple(dict.fromkeys(known.features + stated.pop("features", ()))),
        "flags": {**known.flags, **stated.pop("flags", {})},
        "guessed": kept + stated.pop("guessed", ()),
        "origins": (*known.origins, origin),
    }
    return known._replace(**stated, **added)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@cache
def shipped_entries() -> tuple[SourceEntry, ...]:
    """facts.yaml."""
    import yaml  # imported late: only scoring needs it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(
        SourceEntry(origin=origin, **{"facts": {}, **entry})
        for origin, group in yaml.load(FACTS.read_text(encoding="utf-8"), Loader=loader).items()
        for entry in group
    )
