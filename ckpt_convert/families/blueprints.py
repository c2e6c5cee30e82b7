"""A model's tensors on one side → the blueprint of the other side, every name and shape checked first."""

from collections.abc import Mapping
from dataclasses import replace

from ckpt_convert.assembly import Assembly, Part
from ckpt_convert.blueprint import HuggingFaceBlueprint, MegatronBlueprint
from ckpt_convert.families.exact import Exact, layout
from ckpt_convert.families.limits import limits
from ckpt_convert.families.match import match_hugging_face, match_megatron
from ckpt_convert.families.model import Model
from ckpt_convert.families.namespace import namespace_of
from ckpt_convert.families.table import invert
from ckpt_convert.families.tensor_rule import TensorRule
from ckpt_convert.tensors import Dtype, TensorInfo
from harness.checkpoint.record import ConversionRecord

CONTENT_METADATA = {"non_homogeneous_layers": True}
"""Keys are given layer by layer, in every release."""


def to_megatron(
    model: Model, tensors: Mapping[str, TensorInfo], *, dtype: Dtype, where: str, exact: Exact | None = None
) -> MegatronBlueprint:
    """Hugging Face's `tensors` in the folder `where` → `torch_dist`: the universal layout, or what `exact` asks for."""
    table = model.table()
    match_hugging_face(model, table, tensors, where)
    parts = {
        rule.key: tuple(Part(source=name, first=first, rows=rows) for name, _, first, rows in rule.pieces)
        for rule in table.rules
    }
    return _megatron_blueprint(model, table.rules, parts, dtype, exact)


def megatron_to_megatron(
    model: Model, tensors: Mapping[str, TensorInfo], *, dtype: Dtype, where: str, exact: Exact | None = None
) -> MegatronBlueprint:
    """Megatron's `tensors` in the folder `where` → `torch_dist`, without the padding of the vocabulary."""
    table = model.table()
    match_megatron(table, tensors, where)
    parts = {rule.key: (Part(source=rule.key, first=0, rows=rule.rows),) for rule in table.rules}
    return _megatron_blueprint(model, table.rules, parts, dtype, exact)


def to_hugging_face(
    model: Model, tensors: Mapping[str, TensorInfo], *, dtype: Dtype, where: str
) -> HuggingFaceBlueprint:
    """Megatron's `tensors` in the folder `where` → safetensors and config.json, without the padding."""
    table = model.table()
    match_megatron(table, tensors, where)
    shapes = table.shapes()
    assemblies = tuple(
        Assembly(name=name, dtype=_dtype(rule, dtype), shape=shapes[name], parts=parts)
        for name, rule, parts in invert(table)
    )
    return HuggingFaceBlueprint(tensors=assemblies, config=_config_in(model.config, dtype))


def _megatron_blueprint(
    model: Model,
    rules: tuple[TensorRule, ...],
    parts: Mapping[str, tuple[Part, ...]],
    dtype: Dtype,
    exact: Exact | None,
) -> MegatronBlueprint:
    """The rules' tensors under the names that are asked for, with all that goes with them."""
    written = layout(model, rules, exact)
    assemblies = tuple(
        _padded(
            Assembly(name=written.key_of[rule.key], dtype=_dtype(rule, dtype), shape=rule.shape, parts=parts[rule.key]),
            written.vocabulary_rows if rule.vocabulary else rule.shape[0],
        )
        for rule in written.rules
    )
    return MegatronBlueprint(
        tensors=assemblies,
        aliases=written.aliases,
        objects=written.objects,
        args=namespace_of(model.flags),
        content_metadata=CONTENT_METADATA,
        record=_record(model, dtype, written.vocabulary_rows),
    )


def _padded(assembly: Assembly, rows: int) -> Assembly:
    """The tensor with rows of zeros at its end, where it has less than `rows`."""
    missing = rows - assembly.shape[0]
    if missing <= 0:
        return assembly
    padding = Part(source=None, first=0, rows=missing)
    return replace(assembly, shape=(rows, *assembly.shape[1:]), parts=(*assembly.parts, padding))


def _dtype(rule: TensorRule, dtype: Dtype) -> Dtype:
    return Dtype.F32 if rule.fp32 else dtype


def _record(model: Model, dtype: Dtype, vocabulary_rows: int) -> ConversionRecord:
    """What the checkpoint will say of itself."""
    return ConversionRecord(
        family=model.family,
        architecture=model.kind.architecture,
        dtype=dtype.value,
        vocabulary_rows=vocabulary_rows,
        flags=model.flags,
        limits=limits(model),
        config=model.config,
    )


def _config_in(config: Mapping[str, object], dtype: Dtype) -> dict[str, object]:
    """The config of weights in this number format: no longer quantised, whatever they came from."""
    kept = {key: value for key, value in config.items() if key != "quantization_config"}
    key = "dtype" if "dtype" in kept else "torch_dtype"
    return {**kept, key: dtype.torch_name}
