"""Compare a checkpoint's tensors with those of its model: one error names every difference."""

from collections.abc import Iterator, Mapping, Sequence

from ckpt_convert.families.model import Model
from ckpt_convert.families.table import OUTPUT, Table
from ckpt_convert.families.tensor_rule import Shape, TensorRule
from ckpt_convert.fp8 import SCALE_SUFFIX
from ckpt_convert.tensors import Dtype, TensorInfo
from harness.errors import ConfigError

SKIPPED = (".rotary_emb.inv_freq",)
"""Buffers that some checkpoints hold and no model loads: they follow from the config."""

MOST_SHOWN = 20


def match_hugging_face(model: Model, table: Table, tensors: Mapping[str, TensorInfo], where: str) -> None:
    """Refuse Hugging Face's tensors where they are not just those of the model, or FP8 without scales."""
    wanted = table.shapes()
    modules = _absent_modules(model, tensors)
    problems = [
        *(_no_module(module) for module in modules),
        *_differences({name: shape for name, shape in wanted.items() if not name.startswith(modules)}, tensors),
        *_scales_missing(tensors),
        *_extra(wanted, tensors, tied=model.arch.tied_embeddings),
    ]
    _refuse(problems, where)


def match_megatron(table: Table, tensors: Mapping[str, TensorInfo], where: str) -> None:
    """Refuse Megatron's tensors where they are not just those of the model; the vocabulary may be padded."""
    rules = {rule.key: rule for rule in table.rules}
    shapes = {key: _as_padded(rule, tensors) for key, rule in rules.items()}
    unknown = (_unknown(key, info) for key, info in tensors.items() if key not in rules)
    _refuse([*_differences(shapes, tensors), *unknown], where)


def _as_padded(rule: TensorRule, tensors: Mapping[str, TensorInfo]) -> Shape:
    """The shape that a tensor must have: with as many rows as there are, if they are padding."""
    found = tensors[rule.key].shape if rule.vocabulary and rule.key in tensors else rule.shape
    return (max(found[0], rule.shape[0]), *rule.shape[1:])


def _absent_modules(model: Model, tensors: Mapping[str, TensorInfo]) -> tuple[str, ...]:
    """The prefixes of multi-token-prediction modules of which there is no tensor at all, as transformers saves them."""
    first = len(model.arch.layers)
    prefixes = tuple(f"model.layers.{first + index}." for index in range(model.arch.mtp_layers))
    return tuple(prefix for prefix in prefixes if not any(name.startswith(prefix) for name in tensors))


def _no_module(prefix: str) -> str:
    return (
        f"no tensor of multi-token prediction is there ({prefix}…), but num_nextn_predict_layers in config.json counts "
        "it; set that to 0 to convert the model without"
    )


def _differences(wanted: Mapping[str, Shape], tensors: Mapping[str, TensorInfo]) -> Iterator[str]:
    for name, shape in wanted.items():
        if name not in tensors:
            yield f"{name} {shape} is missing"
        elif tensors[name].shape != shape:
            yield f"{name} has shape {tensors[name].shape}; the config says {shape}"


def _scales_missing(tensors: Mapping[str, TensorInfo]) -> Iterator[str]:
    for name, info in tensors.items():
        if info.dtype is Dtype.F8_E4M3 and name + SCALE_SUFFIX not in tensors:
            yield f"{name} is FP8, but its scales {name}{SCALE_SUFFIX} are missing"


def _extra(wanted: Mapping[str, Shape], tensors: Mapping[str, TensorInfo], *, tied: bool) -> Iterator[str]:
    """Problems: tensors that are neither weights of the model nor scales of an FP8 weight."""
    for name, info in tensors.items():
        if name in wanted or name.endswith(SKIPPED):
            continue
        if name.endswith(SCALE_SUFFIX):
            weight = tensors.get(name.removesuffix(SCALE_SUFFIX))
            if weight is None or weight.dtype is not Dtype.F8_E4M3:
                yield f"{name} {info.shape} scales no FP8 weight"
        elif name == OUTPUT and tied:
            yield (
                f"{name} {info.shape} is there, but tie_word_embeddings is true: which of the two counts? Set it to "
                "false to convert both tables, or remove the tensor"
            )
        else:
            yield _unknown(name, info)


def _unknown(name: str, info: TensorInfo) -> str:
    return f"{name} {info.shape} is no tensor of this model"


def _refuse(problems: Sequence[str], where: str) -> None:
    """Raise ConfigError with the first problems, and say how many more there are."""
    if problems:
        more = [f"{where}: … and {len(problems) - MOST_SHOWN} more"] if len(problems) > MOST_SHOWN else []
        raise ConfigError([*(f"{where}: {problem}" for problem in problems[:MOST_SHOWN]), *more])
