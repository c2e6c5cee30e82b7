"""The token dispatcher of MoE layers: from the flags that ask for it, and from the arguments that Megatron prints."""

from typing import NamedTuple

from harness.config.megatron_args import MegatronArgs

FLEX_BACKEND = "deepep"
"""What the flex dispatcher sends tokens with unless it is told; before 0.16 it has no other."""


class TokenDispatcher(NamedTuple):
    """`--moe-token-dispatcher-type`, and the flex type's backend; None with another type."""

    kind: str
    backend: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.backend}" if self.backend else self.kind


def token_dispatcher(kind: str, backend: str | None, *, deepep: bool) -> TokenDispatcher:
    """The dispatcher that a type and a flex backend come to; `deepep`, the old switch, decides the backend."""
    return TokenDispatcher(kind, ("deepep" if deepep else backend) if kind == "flex" else None)


def asked_dispatcher(args: MegatronArgs) -> TokenDispatcher:
    """The dispatcher that the flags ask for; Megatron's default is allgather."""
    return token_dispatcher(
        args.text("--moe-token-dispatcher-type", "allgather"),
        args.text("--moe-flex-dispatcher-backend", FLEX_BACKEND),
        deepep=args.switch("--moe-enable-deepep"),
    )
