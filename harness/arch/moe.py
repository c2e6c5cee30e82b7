"""The feed-forward half of a layer: one dense MLP, or a mixture of experts.

Legend of shapes: H hidden size, F and f the inner size of a dense MLP and of one expert, E experts.
"""

from typing import NamedTuple

from harness.arch.weights import Norm, Sharding, Weights, linear
from harness.config.megatron_args import MegatronArgs


class Dense(NamedTuple):
    """One MLP for all tokens; `gated` is SwiGLU, whose first matrix is twice as tall."""

    ffn_hidden: int
    gated: bool = True
    bias: bool = False

    @property
    def matrices(self) -> int:
        """(H, F) matrices: up and down, and the gate if there is one."""
        return 3 if self.gated else 2

    def weights(self, hidden: int, norm: Norm) -> tuple[Weights, ...]:
        """linear_fc1 (2F or F, H) and linear_fc2 (H, F)."""
        return (
            linear("linear_fc1", hidden, self.ffn_hidden * (self.matrices - 1), Sharding.OUTPUTS, bias=self.bias),
            linear("linear_fc2", self.ffn_hidden, hidden, Sharding.INPUTS, bias=self.bias),
        )


class MoE(NamedTuple):
    """A router that sends each token to `top_k` of `experts`, and the shared experts that see all tokens.

    `groups` and `group_top_k` limit a token to the best groups of experts; 0 where routing is free. The bias that
    balances experts without a loss (`expert_bias`) is a buffer in Megatron, so it counts as no parameter.
    """

    experts: int
    top_k: int
    ffn_hidden: int
    shared_ffn_hidden: int = 0
    shared_gate: bool = False
    groups: int = 0
    group_top_k: int = 0
    expert_bias: bool = False
    gated: bool = True
    bias: bool = False

    @property
    def expert(self) -> Dense:
        """One routed expert."""
        return Dense(ffn_hidden=self.ffn_hidden, gated=self.gated, bias=self.bias)

    @property
    def shared(self) -> Dense:
        """All shared experts, which Megatron builds as one MLP."""
        return Dense(ffn_hidden=self.shared_ffn_hidden, gated=self.gated, bias=self.bias)

    def weights(self, hidden: int, norm: Norm) -> tuple[Weights, ...]:
        """The router (E, H), the routed experts, the shared expert and its gate (1, H)."""
        routed = tuple(
            part._replace(name=f"experts.{part.name}", expert=True, copies=self.experts, used=self.top_k)
            for part in self.expert.weights(hidden, norm)
        )
        router = linear("router", hidden, self.experts, Sharding.WHOLE, bias=self.bias)
        return (router, *routed, *self._shared_weights(hidden, norm))

    def _shared_weights(self, hidden: int, norm: Norm) -> tuple[Weights, ...]:
        if not self.shared_ffn_hidden:
            return ()
        shared = tuple(part._replace(name=f"shared_experts.{part.name}") for part in self.shared.weights(hidden, norm))
        return (*shared, linear("shared_experts.gate", hidden, 1, Sharding.WHOLE)) if self.shared_gate else shared


type FeedForward = Dense | MoE


def ffn_hidden(args: MegatronArgs) -> int:
    """Inner size of a dense MLP. Megatron's default: 4H, or with SwiGLU 8H/3 cut to a multiple of 64."""
    hidden = args.integer("--hidden-size")
    default = hidden * 8 // 3 // 64 * 64 if args.switch("--swiglu") else 4 * hidden
    return args.integer("--ffn-hidden-size", default)


def dense(args: MegatronArgs) -> Dense:
    """The dense MLP that the flags ask for."""
    return Dense(
        ffn_hidden=ffn_hidden(args),
        gated=args.switch("--swiglu"),
        bias=not args.switch("--disable-bias-linear"),
    )


def moe(args: MegatronArgs) -> MoE:
    """The mixture of experts that the flags ask for; without a width of its own an expert has the dense MLP's."""
    return MoE(
        experts=args.integer("--num-experts"),
        top_k=args.integer("--moe-router-topk", 2),
        ffn_hidden=args.integer("--moe-ffn-hidden-size", ffn_hidden(args)),
        shared_ffn_hidden=args.integer("--moe-shared-expert-intermediate-size"),
        shared_gate=args.switch("--moe-shared-expert-gate"),
        groups=args.integer("--moe-router-num-groups"),
        group_top_k=args.integer("--moe-router-group-topk"),
        expert_bias=args.switch("--moe-router-enable-expert-bias"),
        gated=args.switch("--swiglu"),
        bias=not args.switch("--disable-bias-linear"),
    )
