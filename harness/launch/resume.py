"""Going on from a run's own checkpoint: which flags then hold, and which only for a fresh start."""

import re
from pathlib import Path

from harness.config.megatron_args import MegatronArgs
from harness.launch.rundir import RunPaths
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

_ITERATION = re.compile(r"iter_(\d+)")
RESUMED = ("--load", CHECKPOINTS, "--exit-on-missing-checkpoint")


def saves_into_run(flags: MegatronArgs) -> bool:
    """Whether a run saves checkpoints into its own folder, so that another attempt can go on from them."""
    return flags.text("--save") == CHECKPOINTS


def newest_checkpoint(paths: RunPaths) -> int | None:
    """The step of the newest whole checkpoint, as the job's own script finds it (shell/checkpoints.sh)."""
    folder = paths.root / "checkpoints"
    steps = [
        int(found[1])
        for path in folder.glob("iter_*/metadata.json")
        if (found := _ITERATION.fullmatch(path.parent.name)) and (path.parent / ".metadata").is_file()
    ]
    return max(steps) if steps else _tracked(folder)


def _tracked(folder: Path) -> int | None:
    try:
        text = (folder / "latest_checkpointed_iteration.txt").read_text().strip()
    except (OSError, ValueError):
        return None
    return int(text) if text.isdecimal() and (folder / f"iter_{int(text):07}").is_dir() else None
