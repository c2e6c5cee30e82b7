"""Megatron's GPT data sets, and the micro-batches that a rank gets from them."""

from typing import Any

import torch
from megatron.core import mpu
from megatron.core.datasets import utils as dataset_utils
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig, MockGPTDataset
from megatron.core.tokenizers.utils.build_tokenizer import build_tokenizer
from megatron.core.transformer.multi_token_prediction import get_mtp_ranks, mtp_on_this_rank
from megatron.core.utils import get_batch_on_this_cp_rank, get_batch_on_this_tp_rank
from megatron.training import get_args
from megatron.training.arguments import core_transformer_config_from_args
from megatron.training.utils import get_blend_and_blend_per_split, is_first_or_last_pipeline_stage

type MicroBatch = dict[str, torch.Tensor | None]

# Fields of the data sets' config that Megatron's arguments call by the same name.
_SAME_NAME = (
    "split",
    "multiple_validation_sets",
    "full_validation",
    "num_dataset_builder_threads",
    "mmap_bin_files",
    "reset_position_ids",
    "reset_attention_mask",
    "eod_mask_loss",
    "object_storage_cache_path",
    "mid_level_dataset_surplus",
    "allow_ambiguous_pad_tokens",
    "context_parallel_size",
    "data_parallel_size",
)
_NAMES = ("tokens", "labels", "loss_mask", "attention_mask", "position_ids")


def build_datasets(samples: list[int], vp_stage: int | None = None) -> Any:
    """The train, validation and test sets of so many samples; None on a rank that reads no data."""
    args = get_args()
    kind = MockGPTDataset if args.mock_data else GPTDataset
    builder = BlendedMegatronDatasetBuilder(kind, samples, lambda: _reads_data(vp_stage), _dataset_config(args))
    return builder.build()


build_datasets.is_distributed = True  # type: ignore[attr-defined]  # Megatron asks: every rank calls it


def next_batch(samples: Any, vp_stage: int | None = None) -> MicroBatch:
    """The next micro-batch of this rank: [b, s/cp] each, and None for what its pipeline stage has no use for."""
    if not _takes_data(vp_stage):
        return dict.fromkeys(_NAMES)
    args = get_args()
    tp_rank = mpu.get_tensor_model_parallel_rank()
    batch: MicroBatch = {}
    if tp_rank == 0:
        sample = next(samples)
        batch = {name: sample[name].cuda(non_blocking=True) if name in sample else None for name in _NAMES}
    batch = get_batch_on_this_tp_rank(
        batch,
        has_cu_seqlens=False,
        is_hybrid_cp=False,
        create_attention_mask_in_dataloader=_needs_mask(args),
        broadcast_src_rank=mpu.get_tensor_model_parallel_src_rank(),
        broadcast_group=mpu.get_tensor_model_parallel_group(),
        cp_size=args.context_parallel_size,
        tp_rank=tp_rank,
        micro_batch_size=args.micro_batch_size,
        seq_length=args.seq_length,
        mtp_on_this_rank=_predicts_further(vp_stage),
        pipeline_model_parallel_size=args.pipeline_model_parallel_size,
        is_pipeline_first_stage=mpu.is_pipeline_first_stage(),
        is_pipeline_last_stage=mpu.is_pipeline_last_stage(),
    )
    mine = {name: batch[name] for name in _NAMES}
    return dict(get_batch_on_this_cp_rank(mine, is_hybrid_cp=False, cp_group=mpu.get_context_parallel_group()))


def embedding_ranks(pipeline: list[int]) -> list[int]:
    """Of a pipeline's ranks those that hold the embedding: the first, one with MTP layers, the last if it is tied."""
    args = get_args()
    ranks = {pipeline[0]}
    if len(pipeline) > 1:
        ranks.update(get_mtp_ranks(pipeline, core_transformer_config_from_args(args)))
        if not args.untie_embeddings_and_output_weights:
            ranks.add(pipeline[-1])
    return sorted(ranks)


def use_built_helpers() -> None:
    """Keep rank 0 from running `make`: the wheel has the built extension and no Makefile."""
    import megatron.core.datasets.helpers_cpp  # noqa: F401  # a missing one fails here, by its name

    dataset_utils.compile_helpers = lambda: None


def _dataset_config(args: Any) -> Any:
    blend, blend_per_split = get_blend_and_blend_per_split(args)
    return GPTDatasetConfig(
        random_seed=args.seed,
        sequence_length=args.seq_length,
        blend=blend,
        blend_per_split=blend_per_split,
        path_to_cache=args.data_cache_path,
        tokenizer=build_tokenizer(args),
        create_attention_mask=_needs_mask(args),
        sequence_parallel_size=args.tensor_model_parallel_size * args.sequence_parallel,
        **{name: getattr(args, name) for name in _SAME_NAME},
    )


def _needs_mask(args: Any) -> bool:
    """Whether the mask is more than causal; the core attention knows the causal one by itself."""
    return bool(args.reset_attention_mask and args.create_attention_mask_in_dataloader)


def _reads_data(vp_stage: int | None) -> bool:
    return mpu.get_tensor_model_parallel_rank() == 0 and _takes_data(vp_stage)


def _takes_data(vp_stage: int | None) -> bool:
    return bool(is_first_or_last_pipeline_stage(vp_stage)) or _predicts_further(vp_stage)


def _predicts_further(vp_stage: int | None) -> bool:
    """Whether this stage has multi-token prediction layers, which take tokens and labels."""
    config = core_transformer_config_from_args(get_args())
    return bool(
        mtp_on_this_rank(
            layout=config.pipeline_model_parallel_layout,
            mtp_num_layers=config.mtp_num_layers,
            ignore_virtual=False,
            vp_stage=vp_stage,
        )
    )
