"""What a forward pass costs by count, and what of it a second does."""

from typing import Any

from harness.arch.model import model_arch
from harness.arch.parameters import published_parameters
from harness.config.megatron_args import MegatronArgs
from harness.cost.flops import Counting, forward_flops


def computational_cost(
    flags: MegatronArgs, *, seq_len: int, batch_size: int, tokens_per_s: float | None, model: str = "model"
) -> dict[str, Any]:
    """What `computational_cost` of a result holds: of a forward pass over one batch.

    `tflops` are 10¹² operations a batch by Megatron's count; `tflops_per_s` are those of the forward passes that all
    ranks make in a second, at `tokens_per_s` tokens, and None where that was not measured; `flops_per_token` has every
    convention. Parameters are counted as the publisher of `model`, whose name tells him, does. `convention` says all
    this in words.
    """
    arch = model_arch(flags, model)
    parameters = published_parameters(arch)
    flops = {kind: forward_flops(arch, kind, sequences=batch_size, seq_len=seq_len) for kind in Counting}
    per_token = {kind.name.lower(): count / (batch_size * seq_len) for kind, count in flops.items()}
    return {
        "tflops": flops[Counting.MEGATRON] / 1e12,
        "tflops_per_s": per_token[Counting.MEGATRON.name.lower()] * tokens_per_s / 1e12 if tokens_per_s else None,
        "flops_per_token": per_token,
        "active_params_billions": parameters.active / 1e9,
        "total_params_billions": parameters.total / 1e9,
        "convention": {
            "flops": "forward only, a third of a training step without recomputation; tflops by the first",
            **{kind.name.lower(): kind.value for kind in Counting},
            "active_params": str(parameters.active_counts),
            "total_params": str(parameters.total_counts),
        },
    }
