"""Tensors of one layer, counted: how large, how many of them, and how many a token meets."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Norm(Enum):
    """A normalization layer; the value is the number of vectors it learns (weight, and bias if it has one)."""

    RMS_NORM = 1
    LAYER_NORM = 2

    def weights(self, name: str, width: int) -> "Weights":
        """The norm's parameters over a vector of `width`."""
        return Weights(name=name, size=self.value * width)


@dataclass(frozen=True, kw_only=True)
class Weights:
    """`copies` tensors (or a tensor with its bias) of `size` parameters each, `used` of which process a token.

    Experts are the only weights with `used < copies`. `name` is Megatron's module name.
    """

    name: str
    size: int
    copies: int = 1
    used: int = 1

    @property
    def total(self) -> int:
        """Parameters of all copies."""
        return self.size * self.copies

    @property
    def active(self) -> int:
        """Parameters that one token meets."""
        return self.size * self.used


def linear(name: str, inputs: int, outputs: int, *, bias: bool = False) -> Weights:
    """A weight (outputs, inputs) and, with `bias`, a vector (outputs)."""
    return Weights(name=name, size=inputs * outputs + (outputs if bias else 0))


def total(weights: Iterable[Weights]) -> int:
    """Parameters of all copies of all weights."""
    return sum(weight.total for weight in weights)


def active(weights: Iterable[Weights]) -> int:
    """Parameters of all weights that one token meets."""
    return sum(weight.active for weight in weights)
