"""Parameter counts, total and active per token, each under a stated convention."""

from dataclasses import dataclass, replace

from harness.arch.model import ModelArch
from harness.arch.weights import Weights, active, linear, total


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What a count takes in, beside the layers."""

    input_embedding: bool = True
    output_layer: bool = True
    router: bool = True
    mtp: bool = False
    padded_vocab: bool = False

    def __str__(self) -> str:
        """`input embedding, output layer and router counted; MTP not; unpadded vocabulary`."""
        parts = {
            "input embedding": self.input_embedding,
            "output layer": self.output_layer,
            "router": self.router,
            "MTP": self.mtp,
        }
        counted = ", ".join(name for name, included in parts.items() if included)
        left_out = ", ".join(name for name, included in parts.items() if not included)
        vocabulary = "padded vocabulary" if self.padded_vocab else "published vocabulary"
        return "; ".join(
            text for text in (counted and f"with {counted}", left_out and f"without {left_out}", vocabulary) if text
        )


MEGATRON = Convention(mtp=True, padded_vocab=True)
"""All that Megatron builds on this mapping."""

PUBLISHED_TOTAL = Convention()
"""How DeepSeek, Mistral and Qwen count the total: both embedding tables, no MTP, no padding."""

PUBLISHED_ACTIVE = Convention()
"""How Mistral and Qwen count the active parameters: like the total (Mixtral-8x7B 12.88, Qwen2-57B 14.25)."""

DEEPSEEK_ACTIVE = Convention(input_embedding=False, router=False)
"""How DeepSeek counts the active parameters, found by arithmetic: of the subsets that could be meant, this one alone
rounds to all three figures published (V3 36.52 → 37, V2 20.80 → 21, V2-Lite 2.448 → 2.4). The input embedding is a
look-up of one row; with the router V2-Lite would be 2.451."""


@dataclass(frozen=True, kw_only=True)
class ParameterCount:
    """Parameters of the whole model and of the part that processes one token, and what each figure counts."""

    total: int
    active: int
    total_counts: Convention
    active_counts: Convention


def count_parameters(
    arch: ModelArch, total_counts: Convention = MEGATRON, active_counts: Convention | None = None
) -> ParameterCount:
    """Exact counts; under `MEGATRON` the total equals that of the model that Megatron builds.

    The active figure follows the total's convention unless it has one of its own.
    """
    active_counts = active_counts or total_counts
    return ParameterCount(
        total=total(_counted(arch, total_counts)),
        active=active(_counted(arch, active_counts)),
        total_counts=total_counts,
        active_counts=active_counts,
    )


def published_parameters(arch: ModelArch) -> ParameterCount:
    """Both figures as the model's publisher counts them (known by the model's name)."""
    by_publisher = DEEPSEEK_ACTIVE if arch.name.startswith("DeepSeek") else PUBLISHED_ACTIVE
    return count_parameters(arch, PUBLISHED_TOTAL, by_publisher)


def parameter_groups(arch: ModelArch) -> dict[str, Weights]:
    """Every tensor of the model by its place, e.g. `decoder.layers.3.linear_qkv`; padded vocabulary, MTP included."""
    groups = {weight.name: weight for weight in _ends(arch, MEGATRON)}
    for index, layer in enumerate(arch.layers):
        for weight in layer.weights(arch.hidden, arch.norm):
            groups[f"decoder.layers.{index}.{weight.name}"] = weight
    for index in range(arch.mtp_layers):
        for weight in arch.mtp_weights():
            groups[f"mtp.layers.{index}.{weight.name}"] = weight
    return groups


def _counted(arch: ModelArch, convention: Convention) -> list[Weights]:
    weights = [weight for layer in arch.layers for weight in layer.weights(arch.hidden, arch.norm)]
    if convention.mtp:
        weights += list(arch.mtp_weights()) * arch.mtp_layers
    if not convention.router:
        weights = [weight for weight in weights if weight.name != "router"]
    return [*weights, *_ends(arch, convention)]


def _ends(arch: ModelArch, convention: Convention) -> list[Weights]:
    """What stands before and after the layers. A tied table is counted once, wherever it is counted."""
    rows = arch.padded_vocab_size if convention.padded_vocab else arch.vocab_size
    table = linear("embedding.word_embeddings", arch.hidden, rows)
    ends = [arch.norm.weights("decoder.final_layernorm", arch.hidden)]
    if convention.input_embedding or (convention.output_layer and arch.tied_embeddings):
        ends.append(table)
    if convention.input_embedding and arch.learned_positions:
        ends.append(linear("embedding.position_embeddings", arch.hidden, arch.learned_positions))
    if convention.output_layer and not arch.tied_embeddings:
        ends.append(replace(table, name="output_layer"))
    return ends
