"""The formats of checkpoints, and the names of the files that are read of them before any weight is."""

from enum import StrEnum


class CheckpointFormat(StrEnum):
    """A format, by the name that users know it by."""

    HUGGING_FACE = "hugging-face"
    TORCH_DIST = "torch_dist"
    LEGACY = "legacy"


CONFIG = "config.json"
"""What the model is, in a Hugging Face checkpoint."""

TRACKER = "latest_checkpointed_iteration.txt"
"""Beside the folders of iterations; Megatron loads the one that it names."""

RELEASE = "release"
"""What the tracker says, and the folder is called, where the weights belong to no step of a training."""

METADATA = ".metadata"
"""Which tensors a torch_dist checkpoint has, and where their chunks lie."""

COMMON = "common.pt"
"""What is not sharded in a torch_dist checkpoint, the arguments of the run among it."""

FORMAT = "metadata.json"
"""Which format of checkpoints this is: without it Megatron takes the folder for another one. Written last."""

RANK_FILE = "model_optim_rng.pt"
"""What a rank saved, in its own folder of a legacy checkpoint."""

RECORD = "moe-harness.json"
"""Beside the weights of a converted checkpoint: family, flags, limits, the source's config."""
