"""One rank's training run: Megatron's own parser, `pretrain` and all that it calls."""

from functools import partial
from typing import Any

import torch.distributed
from megatron.core.enums import ModelType
from megatron.training.argument_utils import gpt_config_from_args, pretrain_cfg_container_from_args
from megatron.training.arguments import parse_and_validate_args
from megatron.training.training import pretrain

from harness.engine import lazy_imports, resume, router
from harness.engine.data import build_datasets, embedding_ranks, use_built_helpers
from harness.engine.effect import announce, report_peak_memory
from harness.engine.model import TorchNativeConfig
from harness.engine.step import forward_step
from harness.engine.supported import refuse_unsupported


def train(*, on_cpu: bool) -> None:
    """Train as `sys.argv` and torchrun's environment say."""
    lazy_imports.install()
    args = parse_and_validate_args()
    lazy_imports.show_wandb_to_timers()
    config = gpt_config_from_args(args, model_config_cls=TorchNativeConfig)
    refuse_unsupported(args, config.transformer)
    use_built_helpers()
    resume.install()
    router.install()
    config.post_wrap_hooks.append(partial(_announced, args, on_cpu))
    pretrain(
        pretrain_cfg_container_from_args(args, config),
        build_datasets,
        ModelType.encoder_or_decoder,
        forward_step,
        get_embedding_ranks=embedding_ranks,
    )
    report_peak_memory(on_cpu=on_cpu)
    torch.distributed.destroy_process_group()


def _announced(args: Any, on_cpu: bool, model: list[Any]) -> list[Any]:
    """Megatron's hook after the model is built: say what is in effect, and hand the model on."""
    announce(args, model, on_cpu=on_cpu)
    return model
