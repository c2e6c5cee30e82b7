"""The names and objects of a Megatron checkpoint: for every release at once, or for one release and layer spec."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

from ckpt_convert.families.limits import FIRST_MTP, FIRST_SHARED_GATE, LAST_UNNORMED_QUERY, has_unnormed_query
from ckpt_convert.families.model import Model
from ckpt_convert.families.tensor_rule import TensorRule, TensorRules
from harness.arch.model import padded_vocab_size
from harness.config.megatron_args import MegatronArgs
from harness.config.releases import Release
from harness.errors import ConfigError

LAST_PADDED = Release(0, 11)
"""Up to here the embedding must have the padded rows that Megatron builds on its mapping."""

LAST_CORE_ATTENTION = Release(0, 14)
"""Up to here Transformer Engine's core attention saves an extra state; inside MTP up to `LAST_MTP_CORE_ATTENTION`."""

LAST_MTP_CORE_ATTENTION = Release(0, 16)


@dataclass(frozen=True, kw_only=True)
class Exact:
    """A release and layer spec to write for, and nothing else; `tp` counts where the vocabulary must be padded."""

    release: Release
    spec: Literal["te", "local"]
    tp: int = 1


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a checkpoint is written: which `rules`, under which name each (`key_of` their `key`), with which aliases.

    `objects` are the `_extra_state` entries, `vocabulary_rows` the rows of the embedding.
    """

    rules: TensorRules
    key_of: Mapping[str, str]
    vocabulary_rows: int
    objects: tuple[str, ...]
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def layout(model: Model, rules: TensorRules, exact: Exact | None) -> Layout:
    """The layout that every release finds its way in, or just what `exact` asks for."""
    if exact is not None:
        return _exact_layout(model, rules, exact)
    return Layout(
        rules=rules,
        key_of={rule.key: rule.key for rule in rules},
        aliases={rule.key: (rule.local_key,) for rule in rules if rule.local_key not in {"", rule.key}},
        vocabulary_rows=model.arch.vocab_size,
        objects=tuple(chain(_layer_objects(rules, with_norms=True), _core_attention_objects(rules))),
    )


def _exact_layout(model: Model, rules: TensorRules, exact: Exact) -> Layout:
    _refuse_impossible(model, exact)
    built = rules if exact.release >= FIRST_MTP else tuple(rule for rule in rules if not rule.key.startswith("mtp."))
    is_te = exact.spec == "te"
    cores = (key for key in _core_attention_objects(built) if is_te and exact.release <= _last_core_attention(key))
    return Layout(
        rules=built,
        key_of={rule.key: rule.key if is_te else rule.local_key or rule.key for rule in built},
        vocabulary_rows=_padded_rows(model, exact.tp) if exact.release <= LAST_PADDED else model.arch.vocab_size,
        objects=tuple(chain(_layer_objects(built, with_norms=is_te), cores)),
    )


def _refuse_impossible(model: Model, exact: Exact) -> None:
    """A layout for a release that cannot build the model would be of no use."""
    release = f"Megatron {exact.release}"
    if exact.release < FIRST_SHARED_GATE and "--moe-shared-expert-gate" in model.flags:
        raise ConfigError(f"{release} has no gate for shared experts, which this model needs; 0.16 and later have it")
    if exact.release > LAST_UNNORMED_QUERY and exact.spec == "te" and has_unnormed_query(model):
        raise ConfigError(
            f"{release} wants a norm of the query with its Transformer Engine spec, and this model has none; write for "
            "0.18 or earlier, or for the local spec, which the embedded engine loads"
        )


def _padded_rows(model: Model, tp: int) -> int:
    return padded_vocab_size(MegatronArgs({**model.flags, "--tensor-model-parallel-size": str(tp)}))


def _last_core_attention(key: str) -> Release:
    return LAST_MTP_CORE_ATTENTION if key.startswith("mtp.") else LAST_CORE_ATTENTION


def _layer_objects(rules: TensorRules, *, with_norms: bool) -> Iterator[str]:
    """The extra states of linear layers, of each expert's, and of the norms that stand apart (Transformer Engine)."""
    for rule in rules:
        module, _, parameter = rule.key.rpartition(".")
        name = module.rpartition(".")[2]
        is_linear = (name.startswith("linear_") or name == "eh_proj") and parameter == "weight"
        if is_linear or (with_norms and name.endswith("norm")):
            yield from _shards(module, rule)


def _shards(module: str, rule: TensorRule) -> Iterator[str]:
    """One object, or one for each expert."""
    experts = rule.shape[0] if ".experts.experts." in rule.key else 1
    return (f"{module}._extra_state/shard_{index}_{experts}" for index in range(experts))


def _core_attention_objects(rules: TensorRules) -> Iterator[str]:
    """The extra state of every layer's core attention."""
    for rule in rules:
        if rule.key.endswith(".self_attention.linear_proj.weight"):
            yield rule.key.replace("linear_proj.weight", "core_attention._extra_state/shard_0_1")
