"""Parameter counts, total and active per token, each under a stated convention."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from harness.arch.model import ModelArch
from harness.arch.weights import Weights


class Convention(NamedTuple):
    """What a count includes besides the layers."""

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
"""How DeepSeek, Mistral, Moonshot and Qwen count the total: both embedding tables, no MTP, no padding."""

PUBLISHED_ACTIVE = Convention()
"""How Mistral counts the active parameters: like the total (Mixtral-8x7B 12.88)."""

QWEN_ACTIVE = Convention(router=False)
"""How Qwen counts the active parameters, as far as its figures tell: Qwen3-30B is 3.340 → 3.3 so, and 3.353 with the
router; Qwen2-57B (14.24 → 14.2) and Qwen3-235B (22.14 → 22) round to what is published either way."""

DEEPSEEK_ACTIVE = Convention(input_embedding=False, router=False)
"""How DeepSeek counts the active parameters, found by arithmetic: of the subsets that could be meant, this one alone
rounds to all three figures published (V3 36.52 → 37, V2 20.80 → 21, V2-Lite 2.448 → 2.4). The input embedding is a
look-up of one row; with the router V2-Lite would be 2.451. Moonshot's cards round from the same subset (Kimi-K2 31.52 →
32, Moonlight 2.58 → 3); Moonlight's paper leaves out both tables, of 15.29 and of 2.24."""

_ACTIVE_BY_PUBLISHER = {
    "DeepSeek": DEEPSEEK_ACTIVE,
    "Kimi": DEEPSEEK_ACTIVE,
    "Moonlight": DEEPSEEK_ACTIVE,
    "Qwen": QWEN_ACTIVE,
}
"""By how the names of a publisher's models begin."""


class ParameterCount(NamedTuple):
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
        total=sum(times * weight.total for times, weight in _counted(arch, total_counts)),
        active=sum(times * weight.active for times, weight in _counted(arch, active_counts)),
        total_counts=total_counts,
        active_counts=active_counts,
    )


def published_parameters(arch: ModelArch) -> ParameterCount:
    """Both figures as the model's publisher counts them (known by the model's name)."""
    of_publisher = [rule for begins, rule in _ACTIVE_BY_PUBLISHER.items() if arch.name.startswith(begins)]
    return count_parameters(arch, PUBLISHED_TOTAL, of_publisher[0] if of_publisher else PUBLISHED_ACTIVE)


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


def _counted(arch: ModelArch, convention: Convention) -> Iterator[tuple[int, Weights]]:
    """The weights that a convention counts, each with how often the model has it."""
    parts = [(times, layer.weights(arch.hidden, arch.norm)) for layer, times in Counter(arch.layers).items()]
    if convention.mtp:
        parts.append((arch.mtp_layers, arch.mtp_weights()))
    for times, weights in parts:
        yield from ((times, weight) for weight in weights if convention.router or weight.name != "router")
    yield from ((1, weight) for weight in _ends(arch, convention))


def _ends(arch: ModelArch, convention: Convention) -> list[Weights]:
    """What stands before and after the layers. A tied table is counted once, wherever it is counted."""
    rows = arch.padded_vocab_size if convention.padded_vocab else arch.vocab_size
    ends = [arch.final_norm]
    if convention.input_embedding or (convention.output_layer and arch.tied_embeddings):
        ends.append(arch.word_embeddings._replace(outputs=rows))
    if convention.input_embedding:
        ends += arch.position_embeddings
    if convention.output_layer and not arch.tied_embeddings:
        ends.append(arch.output_layer._replace(outputs=rows))
    return ends
