"""Tensors of one layer: how large they are, how many there are, and how many of them process a token."""

from enum import Enum, auto
from typing import NamedTuple


class Sharding(Enum):
    """How tensor parallelism shards a weight (outputs, inputs) and its bias (outputs)."""

    OUTPUTS = auto()
    """Column parallel: weight and bias by outputs."""
    INPUTS = auto()
    """Row parallel: the weight by inputs; each rank holds the whole bias."""
    LATENT = auto()
    """MLA's down projections: whole with Transformer Engine, by outputs in Megatron's local layers."""
    WHOLE = auto()
    """Each rank holds all of it: norms, routers, position embeddings."""


class Norm(Enum):
    """A normalization layer; the value is the number of vectors it learns (weight, and bias if it has one)."""

    RMS_NORM = 1
    LAYER_NORM = 2

    def weights(self, name: str, width: int) -> "Weights":
        """The norm's parameters over a vector of `width`."""
        return Weights(name=name, outputs=width, bias=self is Norm.LAYER_NORM)


class Weights(NamedTuple):
    """`copies` weights (outputs, inputs), each with a bias (outputs) if it has one; `used` of them process a token.

    Routed experts alone have more than one copy. `name` is Megatron's module name.
    """

    name: str
    outputs: int
    inputs: int = 1
    bias: bool = False
    sharding: Sharding = Sharding.WHOLE
    expert: bool = False
    copies: int = 1
    used: int = 1

    @property
    def size(self) -> int:
        """Parameters of one copy."""
        return self.outputs * (self.inputs + self.bias)

    @property
    def total(self) -> int:
        """Parameters of all copies."""
        return self.size * self.copies

    @property
    def active(self) -> int:
        """Parameters that process one token."""
        return self.size * self.used


def linear(name: str, inputs: int, outputs: int, sharding: Sharding, *, bias: bool = False) -> Weights:
    """A weight (outputs, inputs) and, with `bias`, a vector (outputs)."""
    return Weights(name=name, inputs=inputs, outputs=outputs, sharding=sharding, bias=bias)
