"""From tensors as they are stored to tensors under universal keys: one a layer, experts stacked on the first axis."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from ckpt_convert.megatron.boxes import BoxedTensor, concatenate, slices, stack, uncovered
from ckpt_convert.megatron.names import universal_names
from harness.errors import ConfigError

_STACKED_LAYERS = re.compile(r"(?P<block>(?:decoder|mtp)\.layers)\.(?P<rest>[^\d].*)")
_GATE = "linear_fc1.weight_w"
_UP = "linear_fc1.weight_v"
_EXPERT = re.compile(r"(?P<experts>.*\.mlp\.experts\.experts)\.(?P<number>\d+)\.(?P<rest>.+)")


def universal(stored: Mapping[str, BoxedTensor], where: str) -> dict[str, BoxedTensor]:
    """The stored tensors under universal keys; ConfigError names every incomplete tensor."""
    tensors = dict(_each_layer(stored))
    tensors = _glued(tensors, where)
    tensors = _stacked_experts(tensors, where)
    problems = [
        f"{where}: {name} {list(tensor.shape)}: {flaw}; the checkpoint is incomplete, save or copy it again"
        for name, tensor in tensors.items()
        if (flaw := uncovered(tensor))
    ]
    if problems:
        raise ConfigError(problems)
    return _renamed(tensors, where)


def _each_layer(stored: Mapping[str, BoxedTensor]) -> Iterator[tuple[str, BoxedTensor]]:
    """Layers that are alike are saved as one tensor with a leading layer axis."""
    for key, tensor in stored.items():
        found = _STACKED_LAYERS.fullmatch(key)
        if found is None or not tensor.shape:
            yield key, tensor
            continue
        for layer, part in enumerate(slices(tensor)):
            yield f"{found['block']}.{layer}.{found['rest']}", part


def _glued(tensors: Mapping[str, BoxedTensor], where: str) -> dict[str, BoxedTensor]:
    """Gate and up projection, which `singleton_local_shards` saves as two tensors, under each other."""
    glued: dict[str, BoxedTensor] = {}
    for key, tensor in tensors.items():
        if key.endswith(_GATE):
            up = tensors.get(key.removesuffix(_GATE) + _UP)
            if up is None or (up.dtype, up.shape) != (tensor.dtype, tensor.shape):
                raise ConfigError(f"{where}: {key} has no {_UP} of its shape; the checkpoint is incomplete")
            glued[key.removesuffix("_w")] = concatenate(tensor, up)
        elif not key.endswith(_UP):
            glued[key] = tensor
    return glued


def _stacked_experts(tensors: Mapping[str, BoxedTensor], where: str) -> dict[str, BoxedTensor]:
    """Experts that are a tensor each, as one tensor a layer."""
    stacked: dict[str, BoxedTensor] = {}
    experts: dict[str, dict[int, BoxedTensor]] = defaultdict(dict)
    for key, tensor in tensors.items():
        if found := _EXPERT.fullmatch(key):
            experts[f"{found['experts']}.{found['rest']}"][int(found["number"])] = tensor
        else:
            stacked[key] = tensor
    for key, numbered in experts.items():
        if sorted(numbered) != list(range(len(numbered))):
            raise ConfigError(f"{where}: {key}: of {max(numbered) + 1} experts only {len(numbered)} are there")
        if len({(tensor.dtype, tensor.shape) for tensor in numbered.values()}) > 1:
            raise ConfigError(f"{where}: {key}: the experts have different shapes or number formats")
        stacked[key] = stack([numbered[number] for number in range(len(numbered))])
    return stacked


def _renamed(tensors: Mapping[str, BoxedTensor], where: str) -> dict[str, BoxedTensor]:
    """The tensors by universal name. A norm that was saved under two names must be the same bytes."""
    names = universal_names(tensors)
    renamed: dict[str, BoxedTensor] = {}
    for key, tensor in tensors.items():
        if renamed.setdefault(names[key], tensor) != tensor:
            raise ConfigError(f"{where}: {key} and another tensor are both {names[key]}, and their values lie apart")
    return renamed
