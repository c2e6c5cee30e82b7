"""The state dicts of pipeline and expert ranks, put together: each numbers its layers and experts from 0."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ckpt_convert.megatron.boxes import BoxedTensor
from ckpt_convert.tensors import BY_TORCH_NAME
from harness.checkpoint.torch_save.box import Box, StorageLocation
from harness.checkpoint.torch_save.restricted_pickle import Inert
from harness.checkpoint.torch_save.torch_file import StoredTensor
from harness.errors import ConfigError

type Rank = tuple[int, int]
"""Pipeline rank and expert rank."""

_CHUNK = re.compile(r"model(\d*)")
_LAYER = re.compile(r"(?P<block>decoder|mtp)\.layers\.(?P<number>\d+)\.(?P<rest>.+)")
_EXPERT = re.compile(
    r"(?P<before>.*\.mlp\.experts)\.(?:local_experts\.(?P<one>\d+)\.(?P<rest>.+)"
    r"|(?P<grouped>linear_fc[12]\.(?:weight|bias))(?P<many>\d+))"
)
_MIXED_EXPERTS = re.compile(r".*\.mlp\.experts\.weight[12]")


def model_chunks(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The models of a rank: one, or under virtual pipeline parallelism `model0`, `model1`…"""
    found = {int(match[1] or 0): value for key, value in content.items() if (match := _CHUNK.fullmatch(str(key)))}
    models = [found[number] for number in sorted(found)]
    named = all(isinstance(model, dict) and all(isinstance(key, str) for key in model) for model in models)
    return models if named else []


def merged(
    ranks: Mapping[Rank, Mapping[str, Any]], args: Mapping[str, Any], where: str
) -> tuple[dict[str, BoxedTensor], tuple[str, ...]]:
    """The tensors of all ranks with global numbers of layers and experts, and the names of what is no weight."""
    tensors: dict[str, BoxedTensor] = {}
    skipped = {str(key) for content in ranks.values() for key in content if not _CHUNK.fullmatch(str(key))}
    layers: Counter[str] = Counter()
    for stage in _stages(ranks):
        for part, model in enumerate(stage):
            for name, value in _globally_named(model, layers, part):
                if not _is_weight(name, value, where):
                    skipped.add(name)
                elif name not in tensors:  # the last stage holds the shared embedding once more
                    tensors[name] = _boxed(name, value, where)
        layers += _layer_counts(stage[0])
    _check_layers(layers["decoder"], args, where)
    if args.get("untie_embeddings_and_output_weights") is False:
        tensors.pop("output_layer.weight", None)
    return tensors, tuple(sorted(skipped))


def _stages(ranks: Mapping[Rank, Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """The models of a stage's expert ranks, stage after stage: each rank's first chunk, then each one's second."""
    pipeline, expert = (1 + max(rank[axis] for rank in ranks) for axis in range(2))
    chunks = {rank: model_chunks(content) for rank, content in ranks.items()}
    for chunk in range(max(map(len, chunks.values()))):
        for stage in range(pipeline):
            yield [chunks[stage, part][chunk] for part in range(expert)]


def _layer_counts(model: Mapping[str, Any]) -> Counter[str]:
    """How many layers a model has in its decoder and of multi-token prediction."""
    found = {(match["block"], match["number"]) for key in model if (match := _LAYER.fullmatch(key))}
    return Counter(block for block, _ in found)


def _globally_named(model: Mapping[str, Any], layers: Counter[str], part: int) -> Iterator[tuple[str, Any]]:
    """A model's values by keys with the numbers of layer and expert in the whole model.

    `layers` counts those of the stages before, `part` is the expert rank. What is no expert is alike in all of these:
    only the first one's is given.
    """
    experts = {key: match for key in model if (match := _EXPERT.fullmatch(key))}
    here = 1 + max((int(match["one"] or match["many"]) for match in experts.values()), default=-1)
    for key, value in model.items():
        if match := experts.get(key):
            number = int(match["one"] or match["many"]) + part * here
            yield _in_layer(f"{match['before']}.experts.{number}.{match['rest'] or match['grouped']}", layers), value
        elif part == 0:
            yield _in_layer(key, layers), value


def _in_layer(key: str, layers: Counter[str]) -> str:
    """A key with the number of its layer in the whole model."""
    match = _LAYER.fullmatch(key)
    if match is None:
        return key
    number = int(match["number"]) + layers[match["block"]]
    return f"{match['block']}.layers.{number}.{match['rest']}"


def _is_weight(name: str, value: Any, where: str) -> bool:
    """Whether a value is a tensor of weights; ConfigError where it is one in a form that cannot be read."""
    if "_extra_state" in name or value is None:
        return False
    if isinstance(value, Inert):
        raise ConfigError(f"{where}: {name} is a {value.global_name}, not a plain tensor; save it again in bf16")
    if _MIXED_EXPERTS.fullmatch(name):
        raise ConfigError(
            f"{where}: {name} holds all experts in one transposed matrix (--moe-grouped-gemm without Transformer "
            "Engine). Let Megatron convert it: its training command with --load and --ckpt-convert-format torch_dist "
            "--ckpt-convert-save DIR; then name DIR here"
        )
    return isinstance(value, StoredTensor) and not value.dtype.startswith(("int", "bool"))


def _boxed(name: str, stored: StoredTensor, where: str) -> BoxedTensor:
    """A whole tensor in one box."""
    if stored.dtype not in BY_TORCH_NAME:
        raise ConfigError(f"{where}: {name} is {stored.dtype}; readable are {', '.join(BY_TORCH_NAME)}")
    if not stored.contiguous:
        raise ConfigError(f"{where}: the elements of {name} do not follow each other; save it contiguous")
    location = StorageLocation(path=stored.path, offset=stored.offset)
    box = Box(offsets=(0,) * len(stored.shape), sizes=stored.shape, location=location)
    return BoxedTensor(dtype=BY_TORCH_NAME[stored.dtype], shape=stored.shape, boxes=(box,))


def _check_layers(found: int, args: Mapping[str, Any], where: str) -> None:
    expected = args.get("num_layers", found)
    if found != expected:
        raise ConfigError(f"{where}: {found} layers in all ranks, its arguments say {expected}; ranks are missing")
