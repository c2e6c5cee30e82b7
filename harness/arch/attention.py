"""Self-attention: grouped-query (GQA) and multi-head latent attention (MLA).

Legend of shapes: H hidden size, heads h, query groups g, head size d; for MLA the ranks rq (query) and rkv (key and
value), and per head the sizes n (query/key without position), r (with rotary position) and v (value).
"""

from typing import NamedTuple

from harness.arch.weights import Norm, Sharding, Weights, linear
from harness.config.megatron_args import MegatronArgs


class GQA(NamedTuple):
    """Grouped-query attention; `kv_heads` equals `heads` in plain multi-head attention."""

    heads: int
    kv_heads: int
    head_dim: int
    qkv_bias: bool = False
    proj_bias: bool = False
    qk_norm: bool = False

    @property
    def qk_dim(self) -> int:
        """Size of one head's query and key."""
        return self.head_dim

    @property
    def v_dim(self) -> int:
        """Size of one head's value."""
        return self.head_dim

    def weights(self, hidden: int, norm: Norm) -> tuple[Weights, ...]:
        """linear_qkv ((h + 2g)·d, H), linear_proj (H, h·d), and norms over one head's query and key."""
        query, key_value = self.heads * self.head_dim, 2 * self.kv_heads * self.head_dim
        projections = (
            linear("linear_qkv", hidden, query + key_value, Sharding.OUTPUTS, bias=self.qkv_bias),
            linear("linear_proj", query, hidden, Sharding.INPUTS, bias=self.proj_bias),
        )
        norms = (norm.weights("q_layernorm", self.head_dim), norm.weights("k_layernorm", self.head_dim))
        return projections + norms if self.qk_norm else projections


class MLA(NamedTuple):
    """Multi-head latent attention; `q_rank` is None where the query is projected in one step (DeepSeek-V2-Lite)."""

    heads: int
    q_rank: int | None
    kv_rank: int
    nope_dim: int
    rope_dim: int
    v_dim: int
    proj_bias: bool = False
    qk_norm: bool = False

    @property
    def qk_dim(self) -> int:
        """Size of one head's query and key."""
        return self.nope_dim + self.rope_dim

    def weights(self, hidden: int, norm: Norm) -> tuple[Weights, ...]:
        """Query and key/value projections down to their ranks and up to the heads, and linear_proj (H, h·v).

        The norms sit on the compressed vectors, so there is none for a query without a rank.
        """
        key_value = (
            linear("linear_kv_down_proj", hidden, self.kv_rank + self.rope_dim, Sharding.LATENT),
            linear("linear_kv_up_proj", self.kv_rank, self.heads * (self.nope_dim + self.v_dim), Sharding.OUTPUTS),
            linear("linear_proj", self.heads * self.v_dim, hidden, Sharding.INPUTS, bias=self.proj_bias),
        )
        norms = (norm.weights("kv_layernorm", self.kv_rank),) if self.qk_norm else ()
        return self._query_weights(hidden, norm) + key_value + norms

    def _query_weights(self, hidden: int, norm: Norm) -> tuple[Weights, ...]:
        """The query's path: one projection, or down, norm and up."""
        width = self.heads * self.qk_dim
        if self.q_rank is None:
            return (linear("linear_q_proj", hidden, width, Sharding.OUTPUTS),)
        projections = (
            linear("linear_q_down_proj", hidden, self.q_rank, Sharding.LATENT),
            linear("linear_q_up_proj", self.q_rank, width, Sharding.OUTPUTS),
        )
        return (*projections, norm.weights("q_layernorm", self.q_rank)) if self.qk_norm else projections


type Attention = GQA | MLA


def attention(args: MegatronArgs) -> Attention:
    """The attention that the flags ask for; missing flags have Megatron's defaults."""
    return _mla(args) if args.switch("--multi-latent-attention") else _gqa(args)


def kv_heads(args: MegatronArgs) -> int:
    """Query groups of a model without MLA: `--num-query-groups` counts only beside `--group-query-attention`."""
    if args.switch("--group-query-attention"):
        return args.integer("--num-query-groups", 1)
    return args.integer("--num-attention-heads")


def _gqa(args: MegatronArgs) -> GQA:
    heads = args.integer("--num-attention-heads")
    bias = not args.switch("--disable-bias-linear")
    return GQA(
        heads=heads,
        kv_heads=kv_heads(args),
        head_dim=args.integer("--kv-channels", args.integer("--hidden-size") // heads),
        qkv_bias=bias or args.switch("--add-qkv-bias"),
        proj_bias=bias,
        qk_norm=args.switch("--qk-layernorm"),
    )


def _mla(args: MegatronArgs) -> MLA:
    return MLA(
        heads=args.integer("--num-attention-heads"),
        q_rank=args.integer("--q-lora-rank") or None,
        kv_rank=args.integer("--kv-lora-rank", 32),
        nope_dim=args.integer("--qk-head-dim", 128),
        rope_dim=args.integer("--qk-pos-emb-head-dim", 64),
        v_dim=args.integer("--v-head-dim", 128),
        proj_bias=not args.switch("--disable-bias-linear"),
        qk_norm=args.switch("--qk-layernorm"),
    )
