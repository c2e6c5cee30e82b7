"""The whole network, read from the resolved Megatron flags."""

from dataclasses import dataclass
from typing import NamedTuple

from harness.arch.attention import Attention, attention
from harness.arch.layer_pattern import moe_layer_pattern
from harness.arch.moe import FeedForward, dense, moe
from harness.arch.shape_problems import learned_positions, shape_problems
from harness.arch.weights import Norm, Sharding, Weights, linear
from harness.config.megatron_args import MegatronArgs
from harness.errors import ConfigError


class LayerSpec(NamedTuple):
    """One transformer layer: an attention and a feed-forward half, each behind a norm."""

    attention: Attention
    ffn: FeedForward

    def weights(self, hidden: int, norm: Norm) -> tuple[Weights, ...]:
        """All weights of the layer, the two norms (H) included."""
        norms = (norm.weights("input_layernorm", hidden), norm.weights("pre_mlp_layernorm", hidden))
        return (*norms, *self.attention.weights(hidden, norm), *self.ffn.weights(hidden, norm))


@dataclass(frozen=True, kw_only=True)
class ModelArch:
    """A decoder-only transformer.

    `vocab_size` is the published vocabulary, `padded_vocab_size` the rows that Megatron builds on this mapping.
    `learned_positions` counts the rows of a position embedding table; 0 with rotary embeddings.
    """

    name: str
    hidden: int
    vocab_size: int
    padded_vocab_size: int
    layers: tuple[LayerSpec, ...]
    norm: Norm
    tied_embeddings: bool
    mtp_layers: int
    learned_positions: int = 0

    def __hash__(self) -> int:
        """Cheap, for caches that are asked often: of all but the layers, of which there are many."""
        return hash((self.name, self.hidden, self.padded_vocab_size, len(self.layers), self.mtp_layers))

    @property
    def word_embeddings(self) -> Weights:
        """The table (padded vocabulary, H) that turns tokens into vectors."""
        return linear("embedding.word_embeddings", self.hidden, self.padded_vocab_size, Sharding.OUTPUTS)

    @property
    def position_embeddings(self) -> tuple[Weights, ...]:
        """The table (positions, H), where positions are learned."""
        if not self.learned_positions:
            return ()
        return (linear("embedding.position_embeddings", self.hidden, self.learned_positions, Sharding.WHOLE),)

    @property
    def output_layer(self) -> Weights:
        """The table (padded vocabulary, H) that makes logits; with tied embeddings the same as `word_embeddings`."""
        return linear("output_layer", self.hidden, self.padded_vocab_size, Sharding.OUTPUTS)

    @property
    def final_norm(self) -> Weights:
        """The norm (H) after the last layer."""
        return self.norm.weights("decoder.final_layernorm", self.hidden)

    @property
    def mtp_layer(self) -> LayerSpec:
        """The transformer layer inside each multi-token-prediction module: Megatron repeats the last one."""
        return self.layers[-1]

    def mtp_weights(self) -> tuple[Weights, ...]:
        """One multi-token-prediction module: three norms, eh_proj (H, 2H) and a layer.

        Embedding and output layer are the model's own.
        """
        norms = tuple(self.norm.weights(name, self.hidden) for name in ("enorm", "hnorm", "final_layernorm"))
        return (
            *norms,
            linear("eh_proj", 2 * self.hidden, self.hidden, Sharding.OUTPUTS),
            *self.mtp_layer.weights(self.hidden, self.norm),
        )


def model_arch(args: MegatronArgs, name: str = "model") -> ModelArch:
    """The network that these flags make Megatron build; every flag that is missing has Megatron's default.

    ConfigError for a shape that is missing, impossible or contradicts itself, and for what is not modelled.
    """
    problems = shape_problems(args)
    if problems:
        raise ConfigError(problems)
    return ModelArch(
        name=name,
        hidden=args.integer("--hidden-size"),
        vocab_size=args.integer("--vocab-size"),
        padded_vocab_size=padded_vocab_size(args),
        layers=_layers(args),
        norm=Norm.RMS_NORM if args.text("--normalization") == "RMSNorm" else Norm.LAYER_NORM,
        tied_embeddings=not args.switch("--untie-embeddings-and-output-weights"),
        mtp_layers=args.integer("--mtp-num-layers"),
        learned_positions=args.integer("--max-position-embeddings") if learned_positions(args) else 0,
    )


def padded_vocab_size(args: MegatronArgs) -> int:
    """Rows of the embedding table: the vocabulary rounded up to a multiple of 128 (or of the flag's value) times TP.

    `--padded-vocab-size` names them outright (0.16), `--no-pad-vocab-size` keeps the vocabulary as it is (0.19).
    """
    vocab_size = args.integer("--vocab-size")
    if "--padded-vocab-size" in args:
        return args.integer("--padded-vocab-size")
    if args.switch("--no-pad-vocab-size") or args.switch("--disable-pad-vocab-size"):
        return vocab_size
    multiple = args.integer("--make-vocab-size-divisible-by", 128) * args.integer("--tensor-model-parallel-size", 1)
    return -(-vocab_size // multiple) * multiple


def moe_layers(args: MegatronArgs) -> tuple[bool, ...]:
    """For each layer, whether it is a mixture of experts; a model without `--num-experts` has none."""
    num_layers = args.integer("--num-layers")
    if not args.integer("--num-experts"):
        return (False,) * num_layers
    return moe_layer_pattern(args.text("--moe-layer-freq", "1"), num_layers)


def _layers(args: MegatronArgs) -> tuple[LayerSpec, ...]:
    mixing = attention(args)
    pattern = moe_layers(args)
    plain = LayerSpec(attention=mixing, ffn=dense(args))
    mixture = LayerSpec(attention=mixing, ffn=moe(args)) if any(pattern) else plain
    return tuple(mixture if is_moe else plain for is_moe in pattern)
