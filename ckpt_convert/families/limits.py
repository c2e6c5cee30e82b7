"""What Megatron, or some releases of it, cannot represent of a model, and what helps."""

from collections.abc import Iterable, Iterator

from ckpt_convert.families.model import Model
from harness.checkpoint.record import GROUP_SCORE, UNNORMED_QUERY, Limit
from harness.config.releases import Release, known

FIRST_MTP = Release(0, 12)
FIRST_FIXED_YARN = Release(0, 14)
FIRST_EXACT_BIAS = Release(0, 14)
FIRST_SHARED_GATE = Release(0, 16)
LAST_UNNORMED_QUERY = Release(0, 18)
YARN_LENGTH = 4096
"""YaRN's original length in Megatron from `FIRST_FIXED_YARN` on."""


def limits(model: Model) -> tuple[Limit, ...]:
    """Where Megatron would compute something else with these weights, or not load them."""
    return (*_routing(model), *_attention(model), *_missing_parts(model))


def has_unnormed_query(model: Model) -> bool:
    """Whether queries go without a rank, and so without a norm (DeepSeek-V2-Lite)."""
    return model.flags.switch("--multi-latent-attention") and "--q-lora-rank" not in model.flags


def _routing(model: Model) -> Iterator[Limit]:
    flags = model.flags
    group_top_k = flags.integer("--moe-router-group-topk")
    scored_by = flags.integer("--moe-router-topk") // group_top_k if group_top_k else 1
    if flags.switch("--moe-router-enable-expert-bias"):
        yield Limit(
            name="router-bias",
            text="The router's bias is rounded to bf16 as it is loaded, so what is saved does not go back exactly. "
            "Use 0.14 or later.",
            releases=_named(it for it in known() if it < FIRST_EXACT_BIAS),
        )
    if model.family == "DeepSeek-V2" and scored_by > 1:
        yield Limit(
            name=GROUP_SCORE,
            text=f"Megatron scores a routing group by the sum of its best {scored_by} experts, DeepSeek-V2 by its best "
            "one: the weights are exact, but some tokens go to other experts. The embedded engine follows DeepSeek-V2 "
            "with GROUP_SCORE=max.",
            releases=_named(known()),
        )


def _attention(model: Model) -> Iterator[Limit]:
    flags = model.flags
    if has_unnormed_query(model):
        yield Limit(
            name=UNNORMED_QUERY,
            text="Megatron wants a norm of the query, which this model does not have: its Transformer Engine spec asks "
            "for linear_q_proj.layer_norm_weight, its local spec fails. Use 0.18 or earlier, or the embedded engine.",
            releases=_named(it for it in known() if it > LAST_UNNORMED_QUERY),
        )
    if flags.text("--rope-type") != "yarn":
        return
    length = flags.integer("--max-position-embeddings")
    if length != YARN_LENGTH:
        yield Limit(
            name="yarn-length",
            text=f"The original length of YaRN is fixed at {YARN_LENGTH}, and this model's is {length}: positions turn "
            "at other frequencies. Use 0.13 or earlier.",
            releases=_named(it for it in known() if it >= FIRST_FIXED_YARN),
        )
    if flags.number("--mscale") != flags.number("--mscale-all-dim"):
        yield Limit(
            name="mscale",
            text="The softmax scale follows --mscale rather than --mscale-all-dim, and this model has two values. Use "
            "0.14 or later.",
            releases=_named(it for it in known() if it < FIRST_FIXED_YARN),
        )


def _missing_parts(model: Model) -> Iterator[Limit]:
    if model.flags.switch("--moe-shared-expert-gate"):
        yield Limit(
            name="shared-gate",
            text="There is no gate for shared experts (--moe-shared-expert-gate), so that they would always count in "
            "full. Use 0.16 or later.",
            releases=_named(it for it in known() if it < FIRST_SHARED_GATE),
        )
    if model.flags.integer("--mtp-num-layers"):
        yield Limit(
            name="mtp",
            text="There is no multi-token prediction: its weights are left aside. Use 0.12 or later.",
            releases=_named(it for it in known() if it < FIRST_MTP),
        )


def _named(releases: Iterable[Release]) -> tuple[str, ...]:
    """Releases as a record names them: `0.19`."""
    return tuple(map(str, releases))
