"""Parameters that one rank holds: each tensor is sharded over TP, EP and ETP, each pipeline stage counts what it holds.

Equal to the model that Megatron-Core 0.19 builds on the rank. Context parallelism splits no weight. A layer's norms
have the same parameters whether they stand alone or, with Transformer Engine, inside the linear layer that follows.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from harness.arch.model import ModelArch
from harness.arch.parallel import Parallel
from harness.arch.stages import Stage
from harness.arch.weights import Sharding, Weights
from harness.errors import ConfigError


class RankParameters(NamedTuple):
    """Parameters on one rank: `dense` ones have DP·CP replicas, `expert` ones (the routed experts) EDP."""

    dense: int
    expert: int

    @property
    def total(self) -> int:
        """Both."""
        return self.dense + self.expert


class _Degrees(NamedTuple):
    """The number of shards by each kind of parallelism; `latent` is that of MLA's down projections."""

    tp: int
    ep: int
    etp: int
    latent: int


def rank_parameters(
    arch: ModelArch, stages_of_rank: Sequence[Stage], mapping: Parallel, *, transformer_engine: bool = True
) -> RankParameters:
    """Parameters on a rank that holds these virtual stages (`pipeline(args)[pp_rank]`).

    Raises ConfigError for a tensor that the mapping does not divide; `arch` must be padded for this TP.
    """
    degrees = _degrees(mapping, transformer_engine)
    if len(stages_of_rank) == 1:
        return _stage_parameters(arch, stages_of_rank[0], degrees)
    parts = [_stage_parameters(arch, stage, degrees) for stage in stages_of_rank]
    return RankParameters(dense=sum(part.dense for part in parts), expert=sum(part.expert for part in parts))


def stage_weights(
    arch: ModelArch, stage: Stage, mapping: Parallel, *, transformer_engine: bool = True
) -> dict[str, int]:
    """Parameters of each tensor of one virtual stage on a rank, by its place, e.g. `decoder.layers.3.linear_qkv`.

    Layers are numbered through the whole model. A rank's stages are models of their own: two of them may hold a table
    of embeddings each.
    """
    degrees = _degrees(mapping, transformer_engine)
    places = {weight.name: weight for weight in _ends(arch, stage)}
    for index in stage.layers:
        layer = arch.layers[index].weights(arch.hidden, arch.norm)
        places |= {f"decoder.layers.{index}.{weight.name}": weight for weight in layer}
    for index in range(stage.mtp_layers):
        places |= {f"mtp.layers.{index}.{weight.name}": weight for weight in arch.mtp_weights()}
    return {place: _on_rank(weight, degrees) for place, weight in places.items()}


def _degrees(mapping: Parallel, transformer_engine: bool) -> _Degrees:
    return _Degrees(tp=mapping.tp, ep=mapping.ep, etp=mapping.etp, latent=1 if transformer_engine else mapping.tp)


@lru_cache(maxsize=1 << 16)
def _stage_parameters(arch: ModelArch, stage: Stage, degrees: _Degrees) -> RankParameters:
    layers, mtp_layer = _layers(arch, degrees)
    parts = [layers[index] for index in stage.layers] + [mtp_layer] * stage.mtp_layers
    return RankParameters(
        dense=sum(part.dense for part in parts) + sum(_on_rank(weight, degrees) for weight in _ends(arch, stage)),
        expert=sum(part.expert for part in parts),
    )


@lru_cache(maxsize=1 << 10)
def _layers(arch: ModelArch, degrees: _Degrees) -> tuple[tuple[RankParameters, ...], RankParameters]:
    """Each layer of the model on a rank, and one MTP module."""
    kinds = {layer: _sum(layer.weights(arch.hidden, arch.norm), degrees) for layer in set(arch.layers)}
    return tuple(kinds[layer] for layer in arch.layers), _sum(arch.mtp_weights(), degrees)


def _sum(weights: Iterable[Weights], degrees: _Degrees) -> RankParameters:
    sizes = [(weight.expert, _on_rank(weight, degrees)) for weight in weights]
    return RankParameters(
        dense=sum(size for expert, size in sizes if not expert), expert=sum(size for expert, size in sizes if expert)
    )


def _ends(arch: ModelArch, stage: Stage) -> Iterator[Weights]:
    """What a stage holds beside its layers.

    MTP modules embed the tokens that they predict, so their stage has the embedding too. The last stage makes logits
    from a table of its own; a tied one is spared where the embedding stands in the same stage.
    """
    if stage.embedding or stage.mtp_layers:
        yield arch.word_embeddings
        yield from arch.position_embeddings
    # With MTP the final norm stands behind the last layer, else before the logits: another stage in some layouts.
    if len(arch.layers) - 1 in stage.layers if arch.mtp_layers else stage.loss:
        yield arch.final_norm
    if stage.loss and not (arch.tied_embeddings and stage.embedding):
        yield arch.output_layer


def _on_rank(weight: Weights, degrees: _Degrees) -> int:
    """Parameters of a rank's part of all copies of a weight."""
    tensor, flag = (degrees.etp, "ETP") if weight.expert else (degrees.tp, "TP")
    copies = _part(weight, weight.copies, degrees.ep, "experts", "EP") if weight.expert else weight.copies
    outputs, inputs = weight.outputs, weight.inputs
    if weight.sharding is Sharding.OUTPUTS:
        outputs = _part(weight, outputs, tensor, "outputs", flag)
    elif weight.sharding is Sharding.INPUTS:
        inputs = _part(weight, inputs, tensor, "inputs", flag)
    elif weight.sharding is Sharding.LATENT:
        outputs = _part(weight, outputs, degrees.latent, "outputs", flag)
    return copies * outputs * (inputs + weight.bias)


def _part(weight: Weights, whole: int, degree: int, what: str, flag: str) -> int:
    part, rest = divmod(whole, degree)
    if rest:
        raise ConfigError(f"{weight.name} has {whole} {what}, which {flag}={degree} does not divide")
    return part
