"""What is known of a conversion before a byte is written, as plain values that a run record can keep."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ConversionFacts:
    """From what to what a conversion goes, and how much it reads and writes.

    `source` is the folder that holds the source's weights, the formats are `CheckpointFormat`s, `dtype` is safetensors'
    name of the output's number format. `write_files` counts all files but integrity.json and Megatron's tracker,
    `write_bytes` counts those too.
    """

    source: str
    source_format: str
    target_format: str
    family: str
    dtype: str
    read_tensors: int
    read_files: int
    read_bytes: int
    write_tensors: int
    write_files: int
    write_bytes: int
