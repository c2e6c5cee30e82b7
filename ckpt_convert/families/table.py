"""The whole model as rules, and the same rules read from the other side."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

from ckpt_convert.assembly import Part
from ckpt_convert.families.layer import layer_rules, mtp_rules
from ckpt_convert.families.names import MoENames
from ckpt_convert.families.tensor_rule import Shape, TensorRule, TensorRules, copy, norm, under
from harness.arch.model import ModelArch

WORD_EMBEDDINGS = "embedding.word_embeddings.weight"
"""What Megatron calls it."""

EMBEDDING = "model.embed_tokens.weight"
OUTPUT = "lm_head.weight"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Every tensor of Megatron, and Hugging Face's further copies of some: {their name: the name of the original}."""

    rules: TensorRules
    copies: Mapping[str, str]

    def shapes(self) -> dict[str, Shape]:
        """What Hugging Face's side has to hold, copies included."""
        originals = {piece.name: piece.shape for rule in self.rules for piece in rule.pieces}
        return originals | {name: originals[original] for name, original in self.copies.items()}


def table_of(arch: ModelArch, names: MoENames) -> Table:
    """The rules of a model in the order of its layers."""
    rules: list[Iterable[TensorRule]] = [
        (copy(WORD_EMBEDDINGS, EMBEDDING, arch.vocab_size, arch.hidden, vocabulary=True),)
    ]
    for index, layer in enumerate(arch.layers):
        inside = layer_rules(layer, arch.hidden, names)
        rules.append(under(f"decoder.layers.{index}.", f"model.layers.{index}.", inside))
    rules.append((norm("decoder.final_layernorm.weight", "model.norm.weight", arch.hidden),))
    if not arch.tied_embeddings:
        rules.append((copy("output_layer.weight", OUTPUT, arch.vocab_size, arch.hidden, vocabulary=True),))
    copies: dict[str, str] = {}
    for index in range(arch.mtp_layers):
        name = f"model.layers.{len(arch.layers) + index}."
        rules.append(under(f"mtp.layers.{index}.", name, mtp_rules(arch.mtp_layer, arch.hidden, names)))
        copies[f"{name}embed_tokens.weight"] = EMBEDDING
        copies[f"{name}shared_head.head.weight"] = EMBEDDING if arch.tied_embeddings else OUTPUT
    return Table(rules=tuple(chain.from_iterable(rules)), copies=copies)


def invert(table: Table) -> Iterator[tuple[str, TensorRule, tuple[Part, ...]]]:
    """Each of Hugging Face's tensors: its name, a rule it takes part in, and its parts among Megatron's tensors."""
    runs: dict[str, list[tuple[int, Part]]] = {}
    rule_of: dict[str, TensorRule] = {}
    for rule in table.rules:
        offset = 0
        for piece in rule.pieces:
            part = Part(source=rule.key, first=offset, rows=piece.rows)
            runs.setdefault(piece.name, []).append((piece.first, part))
            rule_of[piece.name] = rule
            offset += piece.rows
    for name, original in chain(((name, name) for name in runs), table.copies.items()):
        yield name, rule_of[original], tuple(part for _, part in sorted(runs[original], key=itemgetter(0)))
