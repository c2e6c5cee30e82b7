"""Resume from a run's own checkpoint: the flags of a resumed start, and those of a fresh start."""

from harness.config.megatron_args import MegatronArgs
from harness.launch.script.quoting import RUN_DIR

CHECKPOINTS = f"{RUN_DIR}/checkpoints"

FRESH_ONLY = frozenset(
    {
        "--load",
        "--finetune",
        "--no-load-optim",
        "--no-load-rng",
        "--load-main-params-from-ckpt",  # wants --no-load-optim
        "--exit-on-missing-checkpoint",
        "--pretrained-checkpoint",
        "--ckpt-step",
    }
)
"""Flags that say with which weights a run begins. Resumed, it needs its own, with optimizer, step and random state."""

RESUMED = ("--load", CHECKPOINTS, "--exit-on-missing-checkpoint")


def saves_into_run(flags: MegatronArgs) -> bool:
    """Whether a run saves checkpoints into its own folder, so that another attempt can go on from them."""
    return flags.text("--save") == CHECKPOINTS
