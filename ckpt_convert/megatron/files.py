"""The names of the files without weights in the folder of an iteration, as torch_dist has them."""

METADATA = ".metadata"
"""Which tensors there are, and where their chunks lie."""

COMMON = "common.pt"
"""What is not sharded, the arguments of the run among it."""

FORMAT = "metadata.json"
"""Which format of checkpoints this is: without it Megatron takes the folder for another one."""
