"""Frozen dataclasses to plain JSON values and back, checked against their types.

NaN and the infinities, which JSON lacks, are the texts `nan`, `inf` and `-inf`. A field that the text lacks takes its
default; a name that the type lacks is passed over. `MegatronArgs` is the mapping of its flags.

A type is looked at once, and made into a function that decodes its values: a list of runs decodes thousands of records.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, get_args, get_origin, get_type_hints

from harness.config.megatron_args import ArgValue, MegatronArgs

type Decoder = Callable[[Any], Any]

DECODED_APART: Mapping[str, bool] = {"decoded_apart": True}
"""The metadata of a field whose type another field decides: it is encoded, and decoded by who knows that type."""


class Mismatch(ValueError):
    """A value is not of its type; the message begins with where, e.g. `summary.median_s`."""

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(f"{where.removeprefix('.')}: {what}" if where else what)
        self._what = what
        self._where = where

    def inside(self, step: str) -> "Mismatch":
        """The same, seen from one level further out: `.name` or `[3]` leads to where it was found."""
        return Mismatch(self._what, step + self._where)


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


def decode(kind: Any, value: Any) -> Any:
    """A value of type `kind` from its JSON value; Mismatch if it is none."""
    return _decoder(kind)(value)


def _decoder(kind: Any) -> Decoder:
    """What decodes values of a type."""
    if isinstance(kind, TypeAliasType):
        return _decoder(kind.__value__)
    if kind is MegatronArgs:
        flags = _mapping(ArgValue)
        return lambda value: MegatronArgs(flags(value))
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return _union(inner)
    if origin is Literal:
        return _literal(inner)
    if origin is tuple:
        return _tuple(inner[0])
    return _mapping(inner[1]) if origin is Mapping else _scalar(kind)


@cache
def _dataclass(kind: Any) -> Decoder:
    hints = get_type_hints(kind)
    own = [item for item in fields(kind) if item.metadata != DECODED_APART]
    decoders = {item.name: _decoder(hints[item.name]) for item in own}
    needed = {item.name for item in own if item.default is MISSING and item.default_factory is MISSING}

    def decode_dataclass(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _mismatch("an object", value)
        if not value.keys() >= needed:
            raise Mismatch("missing", f".{min(needed - value.keys())}")
        return kind(**_each((name, of, value[name]) for name, of in decoders.items() if name in value))

    return decode_dataclass


def _mapping(kind: Any) -> Decoder:
    decoder = _decoder(kind)

    def decode_mapping(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _mismatch("an object", value)
        return _each((name, decoder, item) for name, item in value.items())

    return decode_mapping


def _each(items: Iterable[tuple[str, Decoder, Any]]) -> dict[str, Any]:
    """Each value by its name, decoded by its own decoder."""
    decoded: dict[str, Any] = {}
    for name, decoder, item in items:
        try:
            decoded[name] = decoder(item)
        except Mismatch as mismatch:
            raise mismatch.inside(f".{name}") from None
    return decoded


def _tuple(kind: Any) -> Decoder:
    decoder = _decoder(kind)

    def decode_tuple(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _mismatch("a list", value)
        decoded: list[Any] = []
        for item in value:
            try:
                decoded.append(decoder(item))
            except Mismatch as mismatch:
                raise mismatch.inside(f"[{len(decoded)}]") from None
        return tuple(decoded)

    return decode_tuple


def _union(kinds: tuple[Any, ...]) -> Decoder:
    """The first type that fits; with one type beside None, its own complaint."""
    *before, last = (_decoder(kind) for kind in kinds if kind is not NoneType)
    optional = NoneType in kinds

    def decode_union(value: Any) -> Any:
        if value is None and optional:
            return None
        for decoder in before:
            try:
                return decoder(value)
            except Mismatch:
                continue
        return last(value)

    return decode_union


def _literal(values: tuple[Any, ...]) -> Decoder:
    def decode_literal(value: Any) -> Any:
        if value in values:
            return value
        raise _mismatch(" or ".join(map(str, values)), value)

    return decode_literal


def _scalar(kind: Any) -> Decoder:
    expected = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}[kind]

    def decode_scalar(value: Any) -> Any:
        if type(value) is kind:
            return value
        if kind is float and (type(value) is int or value in ("nan", "inf", "-inf")):
            return float(value)
        raise _mismatch(expected, value)

    return decode_scalar


def _mismatch(wanted: str, value: Any) -> Mismatch:
    return Mismatch(f"expected {wanted}, found {value!r:.60}")
