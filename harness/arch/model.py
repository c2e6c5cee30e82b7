"""The whole network, read from the resolved Megatron flags."""

from dataclasses import dataclass

from harness.arch.attention import Attention, attention
from harness.arch.layer_pattern import moe_layer_pattern
from harness.arch.moe import FeedForward, dense, moe
from harness.arch.weights import Norm, Weights, linear
from harness.config.megatron_args import MegatronArgs
from harness.errors import ConfigError

REQUIRED = ("--num-layers", "--hidden-size", "--num-attention-heads", "--vocab-size")
UNCOUNTED = (
    "--attention-output-gate",
    "--experimental-attention-variant",
    "--heterogeneous-layers-config-path",
    "--hybrid-layer-pattern",
    "--moe-latent-size",
    "--mtp-use-repeated-layer",
    "--quick-geglu",
)


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
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
            linear("eh_proj", 2 * self.hidden, self.hidden),
            *self.mtp_layer.weights(self.hidden, self.norm),
        )


def model_arch(args: MegatronArgs, name: str = "model") -> ModelArch:
    """The network that these flags make Megatron build; every flag that is missing has Megatron's default."""
    _refuse_what_is_not_modelled(args)
    learned = args.text("--position-embedding-type", "learned_absolute") == "learned_absolute"
    rotary = args.switch("--use-rotary-position-embeddings")
    return ModelArch(
        name=name,
        hidden=args.integer("--hidden-size"),
        vocab_size=args.integer("--vocab-size"),
        padded_vocab_size=padded_vocab_size(args),
        layers=_layers(args),
        norm=Norm.RMS_NORM if args.text("--normalization") == "RMSNorm" else Norm.LAYER_NORM,
        tied_embeddings=not args.switch("--untie-embeddings-and-output-weights"),
        mtp_layers=args.integer("--mtp-num-layers"),
        learned_positions=args.integer("--max-position-embeddings") if learned and not rotary else 0,
    )


def padded_vocab_size(args: MegatronArgs) -> int:
    """Rows of the embedding table: the vocabulary rounded up to a multiple of 128 (or as told) times TP.

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
    mixing, plain = attention(args), dense(args)
    pattern = moe_layers(args)
    mixture = moe(args) if any(pattern) else plain
    return tuple(LayerSpec(attention=mixing, ffn=mixture if is_moe else plain) for is_moe in pattern)


def _refuse_what_is_not_modelled(args: MegatronArgs) -> None:
    """A count that leaves something out is worse than none."""
    missing = [f"{flag} is missing: the network's shape needs it" for flag in REQUIRED if not args.integer(flag)]
    uncounted = [
        f"{flag} changes the network in a way that is not counted; leave it out"
        for flag in UNCOUNTED
        if args.get(flag, False) is not False
    ]
    if missing or uncounted:
        raise ConfigError(missing + uncounted)
