"""Megatron's GPT model, built from the torch-native layer specs."""

from dataclasses import dataclass
from typing import Any, ClassVar

from megatron.core.models.gpt.gpt_model import GPTModel
from megatron.training.models.gpt import GPTModelBuilder, GPTModelConfig
from megatron.training.vocab_utils import calculate_padded_vocab_size

from harness.engine.layers import decoder_block_spec, mtp_block_spec

# What the model takes from the config under the same name.
_TAKEN_OVER = (
    "fp16_lm_cross_entropy",
    "parallel_output",
    "share_embeddings_and_output_weights",
    "position_embedding_type",
    "rotary_percent",
    "rotary_base",
    "rope_scaling",
    "rope_scaling_factor",
    "seq_len_interpolation_factor",
    "scatter_embedding_sequence_parallel",
)


@dataclass(kw_only=True)
class TorchNativeConfig(GPTModelConfig):
    """Megatron's model config; it names the builder below."""

    builder: ClassVar[str] = "harness.engine.model.TorchNativeBuilder"


class TorchNativeBuilder(GPTModelBuilder):
    """Builds pipeline stages of a GPT whose layers need no Transformer Engine."""

    def build_model(
        self,
        pg_collection: Any,
        pre_process: bool | None = None,
        post_process: bool | None = None,
        vp_stage: int | None = None,
    ) -> Any:
        """One stage: with the embedding if `pre_process`, with the output layer if `post_process`."""
        config = self._model_config
        transformer = config.transformer
        return GPTModel(
            config=transformer,
            transformer_layer_spec=decoder_block_spec(transformer, vp_stage=vp_stage),
            mtp_block_spec=mtp_block_spec(transformer, vp_stage=vp_stage),
            vocab_size=_vocab_size(config),
            max_sequence_length=config.seq_length,
            pre_process=pre_process,
            post_process=post_process,
            pg_collection=pg_collection,
            vp_stage=vp_stage,
            **{name: getattr(config, name) for name in _TAKEN_OVER},
        )


def _vocab_size(config: Any) -> int:
    """Rows of the embedding: the vocabulary, padded so that TP divides it unless the padded size was given."""
    if not config.should_pad_vocab:
        return int(config.vocab_size)
    tp = config.transformer.tensor_model_parallel_size
    return int(calculate_padded_vocab_size(config.vocab_size, config.make_vocab_size_divisible_by, tp))
