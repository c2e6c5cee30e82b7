"""Check that a converted checkpoint holds what its source holds: every file's hash, then every tensor's checksum."""

import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ckpt_convert.assembled import AssembledSource
from ckpt_convert.assembly import Assembly, Part
from ckpt_convert.conversion import Folder, cast_for, model_of, open_folder, prevailing_dtype
from ckpt_convert.families.blueprints import megatron_to_megatron, to_hugging_face, to_megatron
from ckpt_convert.hf.folder import HuggingFaceFolder
from ckpt_convert.integrity import Hashed, check_files
from ckpt_convert.megatron.folder import MegatronFolder
from ckpt_convert.tensors import Dtype, TensorSource
from ckpt_convert.writing.progress import Progress
from harness.checkpoint.folder import find_checkpoint, is_hugging_face
from harness.errors import ConfigError

_STEP_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was compared, and all that differs. `hashed` is None where the target has no integrity.json."""

    hashed: Hashed | None
    tensors: int
    size_bytes: int
    differences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The same tensors, under the same names, from the source and from the target."""

    expected: TensorSource
    actual: TensorSource


def verify(source: Path, target: Path, *, threads: int, progress: Progress) -> Verdict:
    """Compare a conversion's source and target, whichever of them is Hugging Face's.

    Files are hashed before any of them is believed; where one was changed, that is the verdict.
    """
    hashed = check_files(target if is_hugging_face(target) else find_checkpoint(target).folder, threads=threads)
    if hashed and hashed.damage:
        return Verdict(hashed=hashed, tensors=0, size_bytes=0, differences=hashed.damage)
    with open_folder(source) as one, open_folder(target) as other:
        return _compared(sides_of(one, other), hashed, threads=threads, progress=progress)


def _compared(sides: Sides, hashed: Hashed | None, *, threads: int, progress: Progress) -> Verdict:
    """Compare every tensor of both sides."""
    expected, actual = sides.expected.tensors, sides.actual.tensors
    names = [name for name in expected if name in actual]
    size_bytes = sum(expected[name].size_bytes for name in names)
    progress.start(size_bytes, 0)
    try:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(lambda name: _difference(name, sides, progress), names))
    finally:
        progress.close()
    differences = (
        *(f"{name} is not in the target" for name in expected if name not in actual),
        *(f"{name} is not in the source" for name in actual if name not in expected),
        *(text for text in found if text),
    )
    return Verdict(hashed=hashed, tensors=len(names), size_bytes=size_bytes, differences=differences)


def sides_of(source: Folder, target: Folder) -> Sides:
    """Both sides under Hugging Face's names if one of them is; the source in the target's number formats."""
    dtype = prevailing_dtype(target.tensors)
    if isinstance(source, MegatronFolder):
        return Sides(expected=_from_megatron(source, target, dtype), actual=target)
    if isinstance(target, HuggingFaceFolder):
        raise ConfigError(
            f"{source.folder} and {target.folder} are both Hugging Face checkpoints; one must be Megatron's"
        )
    model = model_of(source)
    to_megatron(model, source.tensors, dtype=dtype, where=str(source.folder))  # refuses tensors that it does not know
    back = to_hugging_face(model, target.tensors, dtype=dtype, where=str(target.folder)).tensors
    themselves = tuple(map(_itself, back))
    return Sides(
        expected=AssembledSource(themselves, cast_for(themselves, source)),
        actual=AssembledSource(back, target),
    )


def _from_megatron(source: MegatronFolder, target: Folder, dtype: Dtype) -> TensorSource:
    """What the conversion of a Megatron checkpoint must have written."""
    convert = to_hugging_face if isinstance(target, HuggingFaceFolder) else megatron_to_megatron
    tensors = convert(model_of(source), source.tensors, dtype=dtype, where=str(source.folder)).tensors
    return AssembledSource(tensors, cast_for(tensors, source))


def _itself(assembly: Assembly) -> Assembly:
    """The assembly that copies the tensor of the same name."""
    return replace(assembly, parts=(Part(source=assembly.name, first=0, rows=assembly.info.rows),))


def _difference(name: str, sides: Sides, progress: Progress) -> str:
    """What is wrong with one tensor; empty if nothing is."""
    wanted, found = sides.expected.tensors[name], sides.actual.tensors[name]
    if wanted != found:
        return f"{name}: found {found.dtype.value} {found.shape}, expected {wanted.dtype.value} {wanted.shape}"
    step = max(1, _STEP_BYTES // max(1, wanted.columns * wanted.dtype.itemsize))
    sums = [0, 0]
    for first in range(0, wanted.rows, step):
        rows = np.empty((min(step, wanted.rows - first), wanted.columns), wanted.dtype.numpy)
        for side, source in enumerate((sides.expected, sides.actual)):
            source.read_rows(name, first, rows)
            sums[side] = zlib.crc32(rows, sums[side])
        progress.advance(rows.nbytes)
    expected, actual = sums
    return "" if expected == actual else f"{name}: CRC-32 {actual:08x}, expected {expected:08x}"
