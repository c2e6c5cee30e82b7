"""Sizes that contradict each other, or that belong to a part the model does not have.

Megatron refuses the first and ignores the second without a word, so that the network is not the one that was meant.
"""

from collections.abc import Iterator

from harness.arch.layer_pattern import moe_layer_pattern
from harness.config.megatron_args import MegatronArgs
from harness.config.releases import Release
from harness.errors import ConfigError
from harness.plan.violation import Case, Violation, refused

OF_LATENT_ATTENTION = ("--q-lora-rank", "--kv-lora-rank", "--qk-head-dim", "--qk-pos-emb-head-dim", "--v-head-dim")
OF_EXPERTS = ("--moe-shared-expert-intermediate-size", "--moe-router-num-groups")
EXPERT_SIZE = "--moe-ffn-hidden-size"
CHECKS_EXPERT_SIZE = Release(0, 12)
MIXED_WITHOUT_EXPERTS = Release(0, 18)


def attention(case: Case) -> Iterator[Violation]:
    """Sizes of latent or grouped attention in a model that has neither."""
    latent, grouped = "--multi-latent-attention", "--group-query-attention"
    yield from _homeless(case.args, OF_LATENT_ATTENTION, latent, case.args.switch(latent))
    if "--num-query-groups" in case.args and case.args.integer("--num-query-groups") > 1:
        yield from _homeless(case.args, ("--num-query-groups",), grouped, case.args.switch(grouped))


def experts(case: Case) -> Iterator[Violation]:
    """Sizes of experts in a model without any; the expert's own size Megatron refuses (TransformerConfig)."""
    yield from _homeless(case.args, OF_EXPERTS, "--num-experts", bool(case.experts))
    mixed = case.release >= MIXED_WITHOUT_EXPERTS and _mixed(case.args)
    if EXPERT_SIZE in case.args and not case.experts and not mixed and case.release >= CHECKS_EXPERT_SIZE:
        yield from _homeless(case.args, (EXPERT_SIZE,), "--num-experts", False)


def _mixed(args: MegatronArgs) -> bool:
    """Whether the pattern names dense layers, which Megatron takes for a reason to have no experts."""
    try:
        return not all(moe_layer_pattern(args.text("--moe-layer-freq", "1"), args.integer("--num-layers")))
    except ConfigError:
        return False


def _homeless(args: MegatronArgs, flags: tuple[str, ...], home: str, built: bool) -> Iterator[Violation]:
    lost = [flag for flag in flags if flag in args]
    if lost and not built:
        found, fix = f"{', '.join(lost)} without {home}", f"add {home}, or leave {' and '.join(lost)} out"
        yield refused("shape", found, "with it", fix, *lost, home)
