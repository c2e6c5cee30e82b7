"""The sizes themselves: given, whole and positive. Every other constraint relies on these."""

import math
from collections.abc import Iterator

from harness.arch.shape_problems import MOST, MOST_LAYERS
from harness.config.megatron_args import MegatronArgs
from harness.config.setting_flags import FLAG_OF_SETTING, SETTING_OF_FLAG
from harness.plan.constraints.pipeline import PER_STAGE
from harness.plan.violation import Violation

REQUIRED = (
    "--num-layers",
    "--hidden-size",
    "--num-attention-heads",
    "--max-position-embeddings",
    "--seq-length",
    "--micro-batch-size",
)
POSITIVE = (
    *REQUIRED,
    *(FLAG_OF_SETTING[name] for name in ("TP", "CP", "PP", "EP", "ETP", "VPP", "PP_FIRST", "PP_LAST", "GBS")),
    PER_STAGE,
    "--eval-global-batch-size",
    "--eval-micro-batch-size",
    "--ffn-hidden-size",
    "--kv-channels",
    "--kv-lora-rank",
    "--make-vocab-size-divisible-by",
    "--microbatch-group-size-per-virtual-pipeline-stage",
    "--moe-ffn-hidden-size",
    "--moe-router-group-topk",
    "--moe-router-num-groups",
    "--moe-router-topk",
    "--moe-shared-expert-intermediate-size",
    "--num-query-groups",
    "--padded-vocab-size",
    "--q-lora-rank",
    "--qk-head-dim",
    "--qk-pos-emb-head-dim",
    "--recompute-num-layers",
    "--v-head-dim",
    "--vocab-size",
)
COUNTS = (  # 0 means none
    "--cpu-offloading-num-layers",
    "--cuda-graph-warmup-steps",
    "--fine-grained-offloading-max-inflight-offloads",
    "--mtp-num-layers",
    "--num-experts",
    "--num-layers-at-end-in-bf16",
    "--num-layers-at-start-in-bf16",
)
LISTS_OF_NUMBERS = ("--moe-aux-loss-coeff",)
LISTS = ("--hierarchical-context-parallel-sizes",)
NUMBERS = (
    "--activation-offload-fraction",
    "--attention-dropout",
    "--hidden-dropout",
    "--loss-scale",
    "--moe-expert-capacity-factor",
    "--moe-expert-rank-capacity-factor",
)


def sizes(args: MegatronArgs, world_size: int) -> Iterator[Violation]:
    """Missing, fractional, zero and negative sizes."""
    for flag in REQUIRED:
        if flag not in args:
            yield _violation(flag, f"{flag} is missing", f"set {flag} in the model's MODEL_ARGS")
    for flags, least in ((POSITIVE, 1), (COUNTS, 0)):
        for flag in flags:
            if flag in args and not _at_least(args.text(flag), least):
                found = f"{flag} is {args.text(flag)!r}; allowed: whole numbers from {least}"
                yield _violation(flag, found, f"give {flag} a whole number")
    yield from _too_large(args)
    for flag in LISTS:
        if not all(_at_least(word, 1) for word in args.text(flag).split()):
            found = f"{flag} is {args.text(flag)!r}; allowed: whole numbers from 1"
            yield _violation(flag, found, f"give {flag} whole numbers")
    for flag in (*NUMBERS, *LISTS_OF_NUMBERS):
        words = args.text(flag).split() if flag in LISTS_OF_NUMBERS else [args.text(flag)]
        if flag in args and not all(map(_finite, words)):
            yield _violation(flag, f"{flag} is {args.text(flag)!r}; allowed: finite numbers", f"give {flag} a number")
    if world_size < 1:
        yield Violation(
            constraint="sizes",
            message=f"the job has {world_size} GPUs; allowed: whole numbers from 1",
            fix="set NNODES and GPUS_PER_NODE",
            names=("NNODES", "GPUS_PER_NODE"),
        )


def _too_large(args: MegatronArgs) -> Iterator[Violation]:
    for flag in (*POSITIVE, *COUNTS):
        most = MOST_LAYERS if flag == "--num-layers" else MOST
        if flag in args and _at_least(args.text(flag), most + 1):
            yield _violation(
                flag, f"{flag} is {args.text(flag)}; allowed: up to {most:,}", f"give {flag} a smaller number"
            )


def _violation(flag: str, message: str, fix: str) -> Violation:
    names = (SETTING_OF_FLAG[flag], flag) if flag in SETTING_OF_FLAG else (flag,)
    return Violation(constraint="sizes", message=message, fix=fix, names=names)


def _at_least(text: str, least: int) -> bool:
    try:
        return int(text) >= least
    except ValueError:
        return False


def _finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
