"""The flags of a model as it ships, without those that a measured job replaces."""

from functools import cache

from harness.config.megatron_args import MegatronArgs
from harness.config.request import Request
from harness.config.roots import Roots, shipped_root
from harness.config.sources import resolve_request

AS_PUBLISHED = ("PROXY=none", "DATASET=mock", "PRETRAIN=1")

REPLACED = frozenset(
    {
        "--bf16",
        "--context-parallel-size",
        "--decoder-first-pipeline-num-layers",
        "--decoder-last-pipeline-num-layers",
        "--expert-model-parallel-size",
        "--expert-tensor-parallel-size",
        "--global-batch-size",
        "--micro-batch-size",
        "--moe-flex-dispatcher-backend",
        "--moe-router-fusion",
        "--moe-shared-expert-overlap",
        "--moe-token-dispatcher-type",
        "--mtp-num-layers",
        "--num-layers-per-virtual-pipeline-stage",
        "--num-virtual-stages-per-pipeline-rank",
        "--overlap-grad-reduce",
        "--overlap-param-gather",
        "--pipeline-model-parallel-layout",
        "--pipeline-model-parallel-size",
        "--seq-length",
        "--sequence-parallel",
        "--tensor-model-parallel-size",
    }
)


@cache
def shipped_models() -> tuple[str, ...]:
    """The models whose flags are known."""
    return tuple(_roots().names("model"))


@cache
def base_flags(model: str) -> MegatronArgs:
    """A shipped model's flags without mapping, batch and whatever else a row decides. ConfigError if there is none."""
    request = Request(arguments=(f"MODEL={model}", *AS_PUBLISHED), default_cluster="template")
    args = resolve_request(request, _roots()).megatron_args
    return MegatronArgs({flag: value for flag, value in args.items() if flag not in REPLACED})


def _roots() -> Roots:
    """What ships alone: a row means the published model, whatever the current folder calls by its name."""
    return Roots(here=shipped_root(), shipped=shipped_root())
