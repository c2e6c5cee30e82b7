"""Format a conversion as text."""

from collections.abc import Sequence
from pathlib import Path

from ckpt_convert.assembly import Assembly
from ckpt_convert.conversion import Conversion
from ckpt_convert.families.model import Model
from harness.checkpoint.conversion_facts import ConversionFacts
from harness.launch.script.quoting import array_lines
from harness.units import show_bytes, show_seconds

USUAL_BYTES_PER_S = 1e9
"""The rate of two threads between local disks; benchmarks/convert.py measures it."""


def show_plan(facts: ConversionFacts, target: Path) -> str:
    """The source and the target, in a few lines."""
    needed_s = max(facts.read_bytes, facts.write_bytes) / USUAL_BYTES_PER_S
    return "\n".join(
        (
            f"{facts.family}: {facts.source} ({facts.source_format}) to {target} ({facts.target_format})",
            f"read     {facts.read_tensors} tensors, {facts.read_files} files, {show_bytes(facts.read_bytes)}",
            f"write    {facts.write_tensors} tensors, {facts.write_files} files, {show_bytes(facts.write_bytes)},"
            f" {facts.dtype}",
            f"time     about {show_seconds(needed_s)} where disks do {USUAL_BYTES_PER_S / 1e9:.0f} GB/s",
        )
    )


def show_tensors(conversion: Conversion) -> str:
    """Every file and every tensor of the output, a line each."""
    files = (f"file     {file.name}  {show_bytes(file.size_bytes)}" for file in conversion.plan.files)
    tensors = (
        f"tensor   {it.name}  {it.dtype.value} {list(it.shape)}  from {_origin(it)}" for it in conversion.plan.tensors
    )
    return "\n".join((*files, *tensors))


def show_flags(model: Model) -> str:
    """The Megatron flags of a model, one a line, quoted for a shell."""
    return "\n".join(line.strip() for line in array_lines(model.flags.argv()))


def show_releases(releases: Sequence[str]) -> str:
    """`0.11 to 0.15`, or `0.19`."""
    return releases[0] if len(releases) == 1 else f"{releases[0]} to {releases[-1]}"


def _origin(assembly: Assembly) -> str:
    """`a`, or `a and 63 more`."""
    names = list(dict.fromkeys(part.source or "zeros" for part in assembly.parts))
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
