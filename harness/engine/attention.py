"""Core attention over torch's `scaled_dot_product_attention`.

Legend: s sequence, b micro-batch, n query heads and g key/value heads of this TP rank, d head size of queries and keys,
e head size of values, cp context-parallel ranks.
"""

import math
from typing import Any

import torch
from megatron.core.transformer.identity_op import IdentityOp
from megatron.core.transformer.module import MegatronModule
from megatron.core.transformer.multi_latent_attention import MLASelfAttention
from torch.nn.functional import pad, scaled_dot_product_attention

from harness.engine.context_parallel import gather_sequence, held_chunks


class CoreAttention(MegatronModule):
    """softmax(q·kᵀ·scale)·v under a causal mask. Keys and values may have head sizes and head counts of their own."""

    def __init__(
        self,
        config: Any,
        layer_number: int,
        attn_mask_type: Any,
        attention_type: str,
        *,
        attention_dropout: float | None = None,
        softmax_scale: float | None = None,
        k_channels: int | None = None,
        pg_collection: Any,
        **_unused: Any,
    ) -> None:
        """Take what Megatron's attention passes; `k_channels` is d, and `kv_channels` of the config if it is absent."""
        super().__init__(config=config)
        self.scale = softmax_scale or 1 / math.sqrt(k_channels or config.kv_channels)
        if config.apply_query_key_layer_scaling:
            self.scale /= max(1, layer_number)
        self.dropout = config.attention_dropout if attention_dropout is None else attention_dropout
        self.cp_group = pg_collection.cp

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **_unused: Any,
    ) -> torch.Tensor:
        """[s/cp, b, n, d], [s/cp, b, g, d], [s/cp, b, g, e] → [s/cp, b, n·e].

        `attention_mask` [b, 1, s/cp, s] is true where a query may not look; None means causal. With a cache there are
        more keys than queries: then the queries are the last tokens of the keys, and causal to them.
        """
        if self.cp_group.size() > 1:
            context = self._over_ranks(query, key, value, attention_mask)
        else:
            allowed = _after_cached(query, key) if attention_mask is None else ~attention_mask
            context = self._attend(query, key, value, allowed)
        return context.flatten(2)

    def _over_ranks(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Attention of this rank's two chunks of queries to all keys up to the end of each chunk: [s/cp, b, n, e]."""
        key, value = (gather_sequence(part, self.cp_group) for part in (key, value))
        half = query.size(0) // 2
        contexts = []
        for place, chunk in enumerate(held_chunks(self.cp_group.rank(), self.cp_group.size())):
            rows, seen = slice(place * half, (place + 1) * half), (chunk + 1) * half
            if attention_mask is None:
                allowed = query.new_ones(half, seen, dtype=torch.bool).tril(diagonal=seen - half)
            else:
                allowed = ~attention_mask[:, :, rows, :seen]
            contexts.append(self._attend(query[rows], key[:seen], value[:seen], allowed))
        return torch.cat(contexts)

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, allowed: torch.Tensor | None
    ) -> torch.Tensor:
        """[q, b, n, d], [k, b, g, d], [k, b, g, e] → [q, b, n, e]; `allowed` [(b, 1,) q, k].

        None means causal, and all keys for a query that is alone: it is the last token.
        """
        query, key, value = (part.permute(1, 2, 0, 3) for part in (query, key, value))  # [b, heads, tokens, head size]
        if allowed is not None:
            # Of the fused kernels only flash attention takes grouped heads as they are, and it takes no mask.
            repeats = query.size(1) // key.size(1)
            key, value = (part.repeat_interleave(repeats, dim=1) for part in (key, value))
        context = scaled_dot_product_attention(
            query,
            key,
            _as_wide(value, query),
            attn_mask=allowed,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=allowed is None and query.size(2) > 1,
            scale=self.scale,
            enable_gqa=key.size(1) != query.size(1),
        )
        return context[..., : value.size(-1)].permute(2, 0, 1, 3)


def _as_wide(value: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """[…, e] as [b, n, q, d], filled up with zeros, on a CPU without grad: its fused kernel takes one head size alone.

    Without that kernel all q·k weights of every head are in memory at once. A training keeps what it always saved for
    its backward pass.
    """
    narrower = query.size(-1) - value.size(-1)
    fuses = value.device.type == "cpu" and narrower > 0 and not torch.is_grad_enabled()
    return pad(value, (0, narrower)) if fuses else value


def _after_cached(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor | None:
    """Which of k keys each of q queries may see, [q, k], where the queries come after k - q cached tokens.

    None where `_attend` needs no mask: nothing is cached, or there is one query.
    """
    queries, keys = query.size(0), key.size(0)
    if queries in (1, keys):
        return None
    return query.new_ones(queries, keys, dtype=torch.bool).tril(diagonal=keys - queries)


class LatentAttention(MLASelfAttention):
    """Megatron's MLA, where `--qk-layernorm` without `--q-lora-rank` norms the latent keys and values alone.

    That is DeepSeek-V2-Lite; Megatron 0.19 wants a norm fused to the query projection there, which no checkpoint has.
    """

    def _resolve_qk_norm_config(self, submodules: Any) -> dict[str, Any]:
        if self.config.q_lora_rank is not None or not self.config.qk_layernorm:
            return dict(super()._resolve_qk_norm_config(submodules))
        return {
            "linear_q_proj": submodules.linear_q_proj,
            "linear_kv_up_proj": submodules.linear_kv_up_proj,
            "q_layernorm": IdentityOp,
            "kv_layernorm": submodules.kv_layernorm,
        }
