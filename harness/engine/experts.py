"""The experts of one rank as two grouped GEMMs over `torch.nn.functional.grouped_mm`.

Legend: E experts in the model, e experts on this expert-parallel rank, t tokens routed to them, h hidden size,
f an expert's hidden size, p expert-tensor-parallel ranks.
"""

from typing import Any

import torch
from megatron.core.dist_checkpointing.mapping import ShardedTensor, ShardedTensorFactory
from megatron.core.fusions.fused_bias_swiglu import weighted_bias_swiglu_impl
from megatron.core.tensor_parallel.layers import (
    _initialize_affine_weight_cpu,
    set_tensor_model_parallel_attributes,
)
from megatron.core.tensor_parallel.random import get_cuda_rng_tracker, get_expert_parallel_rng_tracker_name
from megatron.core.transformer.module import MegatronModule
from megatron.core.transformer.utils import make_sharded_object_for_checkpoint
from torch.nn.functional import grouped_mm, silu

from harness.engine.norm import init_device

_EXTRA_STATE = "_extra_state"


class GroupedExperts(MegatronModule):
    """e gated or plain MLPs of h → f → h, with all first weights in one tensor and all second weights in another.

    Takes the place of Megatron's `SequentialMLP`, from the same seed to the same weights, and shares its checkpoints.
    """

    def __init__(self, num_local_experts: int, config: Any, pg_collection: Any, name: str | None = None) -> None:
        """Build and initialize `weight1` [e, 2f/p, h] (gate above up; f/p if not gated) and `weight2` [e, h, f/p]."""
        super().__init__(config=config)
        self.experts = num_local_experts
        self.ep_group = pg_collection.ep
        self.tp_group = pg_collection.expt_tp
        self.dp_group = pg_collection.expt_dp
        ffn_hidden = config.moe_ffn_hidden_size // self.tp_group.size()
        self.halves = 2 if config.gated_linear_unit else 1
        self.weight1 = self._weight(self.halves * ffn_hidden, config.hidden_size, split_axis=0)
        self.weight2 = self._weight(config.hidden_size, ffn_hidden, split_axis=1)
        if config.perform_initialization:
            self._initialize()
        self.register_load_state_dict_pre_hook(_drop_extra_states)

    def forward(
        self, tokens: torch.Tensor, tokens_per_expert: torch.Tensor, probs: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        """[t, h] in the order of the experts, [e], [t] → [t, h], each token times its probability; no bias."""
        ends = tokens_per_expert.to(tokens.device).cumsum(0).to(torch.int32)
        inner = grouped_mm(tokens, self.weight1.transpose(1, 2), offs=ends)
        inner = self._activate(inner, probs.unsqueeze(-1))
        return grouped_mm(inner, self.weight2.transpose(1, 2), offs=ends), None

    def _activate(self, inner: torch.Tensor, probs: torch.Tensor) -> torch.Tensor:
        """[t, 2f/p] (f/p if not gated), [t, 1] → [t, f/p], times the probability."""
        activation = self.config.activation_func
        if self.halves == 1:
            return (activation(inner) * probs).to(inner.dtype)
        if self.config.bias_activation_fusion and activation is silu:
            return weighted_bias_swiglu_impl(inner, None, probs, self.config.activation_func_fp8_input_store)
        gate, up = inner.chunk(2, dim=-1)
        if torch.is_grad_enabled():
            return (activation(gate) * up * probs).to(inner.dtype)
        return activation(gate).mul_(up).mul_(probs)  # nothing is kept for a backward pass: no more memory is touched

    def _weight(self, rows: int, columns: int, *, split_axis: int) -> torch.nn.Parameter:
        """An uninitialized [e, rows, columns] of this rank, split over p along `split_axis` of each matrix."""
        shape = (self.experts, rows, columns)
        weight = torch.nn.Parameter(torch.empty(shape, dtype=self.config.params_dtype, device=init_device(self.config)))
        set_tensor_model_parallel_attributes(weight, True, split_axis + 1, self.halves if split_axis == 0 else 1)
        sizes = (self.config.expert_tensor_parallel_size, self.config.tensor_model_parallel_size)
        # Megatron reduces these gradients over the expert-data-parallel group rather than over data parallel.
        weight.allreduce = self.ep_group.size() == 1 and sizes[0] == sizes[1]
        return weight

    def _initialize(self) -> None:
        """Draw the weights expert by expert, first then second matrix, as `SequentialMLP` does."""
        for first, second in zip(self.weight1.data, self.weight2.data, strict=True):
            self._draw(first, self.config.init_method, split_axis=0, stride=self.halves)
            self._draw(second, self.config.output_layer_init_method, split_axis=1, stride=1)

    def _draw(self, matrix: torch.Tensor, init_method: Any, *, split_axis: int, stride: int) -> None:
        """Initialize one expert's [rows, columns] in place, from the generator that Megatron would use."""
        if not self.config.use_cpu_initialization:
            with get_cuda_rng_tracker().fork(get_expert_parallel_rng_tracker_name()):
                init_method(matrix)
            return
        whole = list(matrix.shape)
        whole[split_axis] *= self.tp_group.size()
        _initialize_affine_weight_cpu(
            matrix,
            *whole,
            matrix.size(split_axis),
            split_axis,
            init_method,
            stride=stride,
            params_dtype=self.config.params_dtype,
            rank=self.tp_group.rank(),
            world_size=self.tp_group.size(),
        )

    def backward_dw(self) -> None:
        """Do nothing: the weights' gradients are computed with the others."""

    def sharded_state_dict(
        self, prefix: str = "", sharded_offsets: tuple[Any, ...] = (), metadata: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Megatron's entries: `experts.linear_fc1.weight` [E, 2f, h] and `linear_fc2.weight` [E, h, f]."""
        shards = _ExpertShards(self, sharded_offsets)
        first, second = (f"{prefix}experts.linear_fc{number}" for number in (1, 2))
        replica = (0, 0, self.dp_group.rank())
        return {
            f"{prefix}weight1": ShardedTensorFactory(
                f"{first}.weight", self.weight1, shards.of_first, lambda halves: torch.cat(halves, dim=1), replica
            ),
            f"{prefix}weight2": shards.of_second(f"{second}.weight", self.weight2, replica),
            **shards.extra_states(prefix, first),
            **shards.extra_states(prefix, second),
        }


class _ExpertShards:
    """Where one rank's weights lie in the checkpoint's stacked tensors."""

    def __init__(self, experts: GroupedExperts, sharded_offsets: tuple[Any, ...]) -> None:
        """Of `experts`; `sharded_offsets` are the places on axes that the caller puts before the experts' own."""
        self.experts = experts
        self.outer = sharded_offsets
        self.axis = len(sharded_offsets)
        self.rank, self.parts = experts.tp_group.rank(), experts.tp_group.size()

    def of_first(self, key: str, tensor: torch.Tensor, replica: Any, _flattened_range: Any) -> list[ShardedTensor]:
        """The gate and the up half of [e, 2f/p, h] (one part if not gated): all gates come before all ups."""
        halves = self.experts.halves
        return [
            self._shard(key, part, (1, half * self.parts + self.rank, halves * self.parts), replica)
            for half, part in enumerate(tensor.chunk(halves, dim=1))
        ]

    def of_second(self, key: str, tensor: torch.Tensor, replica: Any) -> ShardedTensor:
        """[e, h, f/p]."""
        return self._shard(key, tensor, (2, self.rank, self.parts), replica)

    def extra_states(self, prefix: str, key: str) -> dict[str, Any]:
        """An empty entry for each expert: the linear layers of the other implementations ask for one."""
        group, count = self.experts.ep_group, self.experts.experts
        replica = (0, self.rank, self.experts.dp_group.rank())
        name = key.removeprefix(f"{prefix}experts.")
        states = {}
        for expert in range(count):
            offsets = (*self.outer, (self.axis, group.rank() * count + expert, group.size() * count))
            states[f"{prefix}{name}.{_EXTRA_STATE}{expert}"] = make_sharded_object_for_checkpoint(
                None, f"{key}.{_EXTRA_STATE}", offsets, replica
            )
        return states

    def _shard(self, key: str, tensor: torch.Tensor, part: tuple[int, int, int], replica: Any) -> ShardedTensor:
        """A rank's [e, …]; `part` says on which axis it is split besides the experts', at which place, of how many."""
        axis, place, parts = part
        group = self.experts.ep_group
        offsets = (*self.outer, (self.axis, group.rank(), group.size()), (self.axis + axis, place, parts))
        return ShardedTensor.from_rank_offsets(key, tensor, *offsets, replica_id=replica, prepend_axis_num=self.axis)


def _drop_extra_states(_experts: GroupedExperts, state: dict[str, Any], prefix: str, *_unused: Any) -> None:
    """Drop the entries that the checkpoint has only for other implementations."""
    for key in [key for key in state if key.startswith(f"{prefix}linear_fc") and _EXTRA_STATE in key]:
        del state[key]
