"""What the flags say is computed again in the backward pass, as Megatron checks it."""

from harness.config.megatron_args import MegatronArgs


def asked_granularity(args: MegatronArgs) -> str:
    """full, selective or nothing; `--recompute-activations` is the old word for selective (validate_args)."""
    return "selective" if args.switch("--recompute-activations") else args.text("--recompute-granularity")


def granularity(args: MegatronArgs) -> str:
    """What comes of it; `--moe-layer-recompute` is the old word for the module moe (TransformerConfig)."""
    return "selective" if args.switch("--moe-layer-recompute") else asked_granularity(args)


def recomputed_modules(args: MegatronArgs) -> frozenset[str]:
    """The modules named, whether the granularity asks for them or not."""
    modules = frozenset(args.text("--recompute-modules", "core_attn").split())
    return modules | {"moe"} if args.switch("--moe-layer-recompute") else modules
