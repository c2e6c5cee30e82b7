"""Mistakes in the flags that give a network its shape: missing, impossible or contradictory values."""

from collections.abc import Iterator

from harness.config.megatron_args import MegatronArgs

REQUIRED = ("--num-layers", "--hidden-size", "--num-attention-heads", "--vocab-size")
SIZES = (
    *REQUIRED,
    *("--ffn-hidden-size", "--kv-channels", "--num-query-groups", "--max-position-embeddings"),
    *("--q-lora-rank", "--kv-lora-rank", "--qk-head-dim", "--qk-pos-emb-head-dim", "--v-head-dim"),
    *("--num-experts", "--moe-ffn-hidden-size", "--moe-router-topk", "--moe-shared-expert-intermediate-size"),
    *("--moe-router-num-groups", "--moe-router-group-topk"),
    *("--padded-vocab-size", "--make-vocab-size-divisible-by", "--tensor-model-parallel-size"),
)
UNCOUNTED = (
    "--attention-output-gate",
    "--experimental-attention-variant",
    "--heterogeneous-layers-config-path",
    "--hybrid-layer-pattern",
    "--moe-latent-size",
    "--mtp-use-repeated-layer",
    "--quick-geglu",
)


MOST_LAYERS, MOST = 10_000, 10**8
"""Beyond these no network is meant, and counting its layers or divisors would take for ever."""


def shape_problems(args: MegatronArgs) -> list[str]:
    """Every mistake, with the flags concerned; where a size is no number, mistakes that follow from it are left out."""
    problems = [f"{flag} is missing: the network's shape needs it" for flag in REQUIRED if not args.text(flag)]
    problems += _impossible(args) or list(_contradictions(args))
    # A count that leaves something out is worse than none.
    problems += [
        f"{flag} changes the network in a way that is not counted; leave it out" for flag in UNCOUNTED if args.has(flag)
    ]
    return problems


def _impossible(args: MegatronArgs) -> list[str]:
    least = {**dict.fromkeys(SIZES, 1), "--mtp-num-layers": 0}
    return [
        f"{flag} {args.text(flag)} is no size; write a whole number of {minimum} or more"
        for flag, minimum in least.items()
        if args.text(flag) and not (_is_whole(args.text(flag)) and int(args.text(flag)) >= minimum)
    ] + [
        f"{flag} {args.text(flag)} is too large; write {most:,} or less"
        for flag, most in {**dict.fromkeys(SIZES, MOST), "--num-layers": MOST_LAYERS}.items()
        if _is_whole(args.text(flag)) and int(args.text(flag)) > most
    ]


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _contradictions(args: MegatronArgs) -> Iterator[str]:
    hidden, heads = args.integer("--hidden-size"), args.integer("--num-attention-heads")
    latent = args.switch("--multi-latent-attention")
    if heads and hidden % heads and not latent and not args.text("--kv-channels"):
        yield f"--num-attention-heads {heads} does not divide --hidden-size {hidden}; say a head's size: --kv-channels"
    groups = args.integer("--num-query-groups", 1) if args.switch("--group-query-attention") else 1
    if heads % groups:
        yield f"--num-query-groups {groups} does not divide --num-attention-heads {heads}"
    experts, top_k = args.integer("--num-experts"), args.integer("--moe-router-topk", 2)
    if experts and top_k > experts:
        yield f"--moe-router-topk {top_k} asks for more experts than --num-experts {experts}"
    padded, vocab_size = args.integer("--padded-vocab-size"), args.integer("--vocab-size")
    if padded and padded < vocab_size:
        yield f"--padded-vocab-size {padded} is smaller than --vocab-size {vocab_size}"
    if learned_positions(args) and not args.text("--max-position-embeddings"):
        yield "--max-position-embeddings is missing: learned positions need it (or --position-embedding-type rope)"


def learned_positions(args: MegatronArgs) -> bool:
    """Whether positions have a table of embeddings: Megatron's default."""
    learned = args.text("--position-embedding-type", "learned_absolute") == "learned_absolute"
    return learned and not args.switch("--use-rotary-position-embeddings")
