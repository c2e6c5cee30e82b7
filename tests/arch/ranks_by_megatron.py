"""A program: of each job, the tensors that Megatron builds on every pipeline rank, with their sizes.

stdin lists jobs as JSON: `argv`, `world_size`, and whether `down_projections` are whole as with Transformer Engine.
Of each job it prints a list by pipeline rank, in it a list by virtual stage, in it parameters by the tensor's place
(`decoder.layers.3.linear_qkv`): `expert` what Megatron marks as such, `dense` the rest. No process talks to another and
no weight has any storage: the ranks are fake, the device is meta.
"""

import argparse
import json
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from harness.engine.device import install_cpu_ranks
from harness.engine.lazy_imports import import_megatron

os.environ["CUDA_DEVICE_MAX_CONNECTIONS"] = "1"
import torch

new_group = torch.distributed.new_group
install_cpu_ranks()  # would make every group one of gloo


def fake_group(*args: Any, **options: Any) -> Any:
    """`new_group` whose members are not there."""
    return new_group(*args, **{**options, "backend": "fake"})


torch.distributed.new_group = fake_group
import_megatron()  # without WandB, which would look at each of the lines that Megatron prints

from megatron.core import parallel_state, tensor_parallel  # noqa: E402
from megatron.core.process_groups_config import ProcessGroupCollection  # noqa: E402
from megatron.core.transformer import multi_latent_attention  # noqa: E402
from megatron.training.argument_utils import gpt_config_from_args  # noqa: E402
from megatron.training.arguments import add_megatron_arguments, validate_args  # noqa: E402
from torch.testing._internal.distributed.fake_pg import FakeStore  # noqa: E402
from whole_models import CONSTANTS, SWITCHES  # noqa: E402

from harness.engine.attention import LatentAttention  # noqa: E402
from harness.engine.model import TorchNativeBuilder, TorchNativeConfig  # noqa: E402

PARSER = argparse.ArgumentParser(allow_abbrev=False)
add_megatron_arguments(PARSER)
# What stands between a layer and the modules that our counts name.
BETWEEN = re.compile(r"\.(?:self_attention|mlp|mtp_model_layer|local_experts\.\d+)(?=\.)")
OTHER_NAMES = {"experts.weight1": "experts.linear_fc1", "experts.weight2": "experts.linear_fc2"}


class Duplicated(torch.nn.Module):
    """What Transformer Engine's `TELinear` holds where Megatron asks it for `parallel_mode="duplicated"`."""

    def __init__(self, inputs: int, outputs: int, *, parallel_mode: str, tp_group: Any, **_unused: Any) -> None:
        super().__init__()
        assert parallel_mode == "duplicated"
        assert tp_group is None
        self.weight = torch.nn.Parameter(torch.empty(outputs, inputs))


@contextmanager
def duplicated_down_projections() -> Iterator[None]:
    """MLA as the spec with Transformer Engine has it, as far as the sizes of weights go."""
    build = LatentAttention.__init__

    def with_duplicates(self: Any, config: Any, submodules: Any, *args: Any, **options: Any) -> None:
        down = {"linear_q_down_proj": Duplicated, "linear_kv_down_proj": Duplicated}
        build(self, config, replace(submodules, **down), *args, **options)

    with (
        patch.object(multi_latent_attention, "TELinear", Duplicated),
        patch.object(LatentAttention, "__init__", with_duplicates),
    ):
        yield


def ranks(job: dict[str, Any]) -> list[list[dict[str, dict[str, int]]]]:
    """The first rank of each pipeline stage: stages lie one after the other in the order of ranks."""
    args = PARSER.parse_args([*job["argv"], *SWITCHES.split(), *CONSTANTS.split(), "--use-cpu-initialization"])
    args.world_size, args.rank = job["world_size"], 0
    config = gpt_config_from_args(validate_args(args), model_config_cls=TorchNativeConfig)
    config.transformer.perform_initialization = False
    pp = config.transformer.pipeline_model_parallel_size
    down_projections = duplicated_down_projections() if job["down_projections"] else nullcontext()
    with down_projections:
        return [rank(config, job["world_size"], stage * job["world_size"] // pp) for stage in range(pp)]


def rank(config: Any, world_size: int, number: int) -> list[dict[str, dict[str, int]]]:
    """What one rank holds, by virtual stage."""
    shape = config.transformer
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=number, world_size=world_size)
    parallel_state.initialize_model_parallel(
        tensor_model_parallel_size=shape.tensor_model_parallel_size,
        pipeline_model_parallel_size=shape.pipeline_model_parallel_size,
        virtual_pipeline_model_parallel_size=shape.virtual_pipeline_model_parallel_size,
        context_parallel_size=shape.context_parallel_size,
        expert_model_parallel_size=shape.expert_model_parallel_size,
        expert_tensor_parallel_size=shape.expert_tensor_parallel_size,
        create_gloo_process_groups=False,
    )
    tensor_parallel.model_parallel_cuda_manual_seed(1)
    virtual = shape.virtual_pipeline_model_parallel_size
    stages = [tensors(built(config, stage if virtual else None)) for stage in range(virtual or 1)]
    parallel_state.destroy_model_parallel()
    torch.distributed.destroy_process_group()
    return stages


def built(config: Any, vp_stage: int | None) -> Any:
    """One virtual stage as a model; its weights have no storage."""
    at = {"ignore_virtual": False, "vp_stage": vp_stage}
    with torch.device("meta"):
        return TorchNativeBuilder(config).build_model(
            ProcessGroupCollection.use_mpu_process_groups(),
            pre_process=parallel_state.is_pipeline_first_stage(**at),
            post_process=parallel_state.is_pipeline_last_stage(**at),
            vp_stage=vp_stage,
        )


def tensors(model: Any) -> dict[str, dict[str, int]]:
    """Parameters by place; weight and bias of one module together, experts of one layer together."""
    counts: dict[str, Counter[str]] = {"dense": Counter(), "expert": Counter()}
    for name, parameter in model.named_parameters():
        is_expert = not getattr(parameter, "allreduce", True)
        counts["expert" if is_expert else "dense"][place(name, model)] += parameter.numel()
    return {kind: dict(count) for kind, count in counts.items()}


def place(name: str, model: Any) -> str:
    """Our name of a parameter's module: layers numbered through the whole model, without what stands between."""
    found = re.match(r"decoder\.layers\.(\d+)\.", name)
    if found:
        name = f"decoder.layers.{model.decoder.layers[int(found[1])].layer_number - 1}.{name[found.end() :]}"
    while (shorter := BETWEEN.sub("", name, count=1)) != name:
        name = shorter
    for theirs, ours in OTHER_NAMES.items():
        if name.endswith(theirs):
            return name.replace(theirs, ours)
    if name.endswith("shared_experts.gate_weight"):
        return name.replace("gate_weight", "gate")
    return name.rpartition(".")[0]


if __name__ == "__main__":
    logging.disable()  # it would go to stdout
    with redirect_stdout(sys.stderr):
        answers = [ranks(job) for job in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)
