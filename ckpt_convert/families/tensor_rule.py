"""What a tensor of Megatron is made of: rows of Hugging Face's tensors, by a few invertible transforms.

Every transform says where rows go, never what becomes of their values, so the way back is read off the same table
(`ckpt_convert/families/table.py`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

type Shape = tuple[int, ...]


class Piece(NamedTuple):
    """`rows` rows, from `first` on, of Hugging Face's tensor `name` of `shape`."""

    name: str
    shape: Shape
    first: int
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorRule:
    """A tensor of Megatron and the pieces it consists of, in order.

    `key` is its name under the Transformer Engine spec, `local_key` its name under the local spec where that differs.
    `fp32` tensors keep their precision; `vocabulary` tensors may be padded at the end.
    """

    key: str
    shape: Shape
    pieces: tuple[Piece, ...]
    local_key: str = ""
    fp32: bool = False
    vocabulary: bool = False

    @property
    def rows(self) -> int:
        """Rows of all pieces."""
        return sum(piece.rows for piece in self.pieces)


type TensorRules = tuple[TensorRule, ...]


def copy(key: str, name: str, *shape: int, fp32: bool = False, vocabulary: bool = False) -> TensorRule:
    """The same tensor under another name."""
    return TensorRule(key=key, shape=shape, pieces=(whole(name, *shape),), fp32=fp32, vocabulary=vocabulary)


def norm(key: str, name: str, width: int, *, local: str = "") -> TensorRule:
    """The weight (width) of a norm, which each of Megatron's layer specs names differently."""
    return replace(copy(key, name, width), local_key=local)


def concatenate(key: str, names: Iterable[str], *shape: int) -> TensorRule:
    """Tensors of one `shape`, the rows of each after those of the one before: the gate over the up projection."""
    pieces = tuple(whole(name, *shape) for name in names)
    return TensorRule(key=key, shape=(len(pieces) * shape[0], *shape[1:]), pieces=pieces)


def stack(key: str, rules: Iterable[TensorRule]) -> TensorRule:
    """Equal tensors of all experts (d0, …) as one (experts, d0, …)."""
    each = tuple(rules)
    pieces = tuple(piece for rule in each for piece in rule.pieces)
    return TensorRule(key=key, shape=(len(each), *each[0].shape), pieces=pieces)


def interleave(
    key: str, names: tuple[str, ...], rows_a_group: tuple[int, ...], groups: int, *columns: int
) -> TensorRule:
    """The rows of each tensor, group by group: queries, keys and values of a query group stand together.

    The tensor at place i has `rows_a_group[i]` rows in each of the groups; no `columns` for a bias.
    """
    pieces = tuple(
        Piece(name, (groups * rows, *columns), group * rows, rows)
        for group in range(groups)
        for name, rows in zip(names, rows_a_group, strict=True)
    )
    return TensorRule(key=key, shape=(groups * sum(rows_a_group), *columns), pieces=pieces)


def whole(name: str, *shape: int) -> Piece:
    """All rows of a tensor."""
    return Piece(name, shape, 0, prod(shape[:-1]) if len(shape) > 1 else shape[0])


def under(key_prefix: str, name_prefix: str, rules: Iterable[TensorRule]) -> Iterator[TensorRule]:
    """The rules inside a module: both sides' names get its prefix."""
    for rule in rules:
        yield replace(
            rule,
            key=key_prefix + rule.key,
            local_key=rule.local_key and key_prefix + rule.local_key,
            pieces=tuple(Piece(name_prefix + name, shape, first, rows) for name, shape, first, rows in rule.pieces),
        )
