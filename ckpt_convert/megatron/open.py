"""Open a Megatron checkpoint of either format."""

from pathlib import Path

from ckpt_convert.megatron.folder import MegatronFolder
from ckpt_convert.megatron.legacy import open_legacy
from ckpt_convert.megatron.torch_dist import open_torch_dist
from harness.checkpoint.files import CheckpointFormat
from harness.checkpoint.folder import find_checkpoint


def open_megatron(folder: Path) -> MegatronFolder:
    """Open a checkpoint by its folder, with the tracker in it, or by the folder of an iteration."""
    found = find_checkpoint(folder)
    open_format = open_legacy if found.format is CheckpointFormat.LEGACY else open_torch_dist
    return open_format(found.folder, found.step)
