"""Frozen dataclasses to plain JSON values and back, checked against their types.

NaN and the infinities, which JSON lacks, are the texts `nan`, `inf` and `-inf`. A field that the text lacks takes its
default; a name that the type lacks is passed over. `MegatronArgs` is the mapping of its flags.
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, get_args, get_origin, get_type_hints

from harness.config.megatron_args import ArgValue, MegatronArgs


class Mismatch(ValueError):
    """A value is not of its type; the message begins with where, e.g. `summary.median_s`."""


def encode(value: Any) -> Any:
    """The JSON value of a dataclass or of what its fields hold."""
    if is_dataclass(value):
        return {item.name: encode(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): encode(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def decode(kind: Any, value: Any, where: str) -> Any:
    """A value of type `kind` from its JSON value; Mismatch if it is none."""
    if isinstance(kind, TypeAliasType):
        return decode(kind.__value__, value, where)
    if kind is MegatronArgs:
        return MegatronArgs(decode(Mapping[str, ArgValue], value, where))
    if isinstance(kind, type) and is_dataclass(kind):
        return _decode_dataclass(kind, value, where)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return _decode_union(inner, value, where)
    if origin is Literal and value in inner:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(decode(inner[0], item, f"{where}[{at}]") for at, item in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {name: decode(inner[1], item, f"{where}.{name}") for name, item in value.items()}
    return _decode_scalar(kind, value, where)


def _decode_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(kind, value, where)
    hints = get_type_hints(kind)
    inside = f"{where}." if where else ""
    needed = {item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING}
    if missing := sorted(needed - value.keys()):
        raise Mismatch(f"{inside}{missing[0]}: missing")
    given = {item.name: value[item.name] for item in fields(kind) if item.name in value}
    return kind(**{name: decode(hints[name], item, f"{inside}{name}") for name, item in given.items()})


def _decode_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """The first type that fits; with one type beside None, its own complaint."""
    if value is None and NoneType in kinds:
        return None
    rest = [kind for kind in kinds if kind is not NoneType]
    for kind in rest[:-1]:
        try:
            return decode(kind, value, where)
        except Mismatch:
            continue
    return decode(rest[-1], value, where)


def _decode_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if kind is float and value in ("nan", "inf", "-inf"):
        return float(value)
    if kind in (str, int, float, bool) and type(value) is kind:
        return value
    raise _mismatch(kind, value, where)


def _mismatch(kind: Any, value: Any, where: str) -> Mismatch:
    found = f"found {value!r:.60}"
    if get_origin(kind) is Literal:
        return Mismatch(f"{where}: expected {' or '.join(map(str, get_args(kind)))}, {found}")
    words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    origins = {tuple: "a list", Mapping: "an object"}
    wanted = words.get(kind) or origins.get(get_origin(kind)) or "an object"
    return Mismatch(f"{where}: expected {wanted}, {found}")
