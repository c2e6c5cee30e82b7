"""A conversion: what it will write, known from headers alone, and the writing of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

from ckpt_convert.assembly import Assembly
from ckpt_convert.cast import CastSource
from ckpt_convert.families.blueprints import megatron_to_megatron, to_hugging_face, to_megatron
from ckpt_convert.families.exact import Exact
from ckpt_convert.families.model import Model, model_of_config, model_of_megatron
from ckpt_convert.hf.folder import HuggingFaceFolder, open_hugging_face
from ckpt_convert.megatron.folder import MegatronFolder
from ckpt_convert.megatron.open import open_megatron
from ckpt_convert.tensors import Dtype, TensorInfo, TensorSource
from ckpt_convert.writing.plan import OutputPlan, plan_safetensors, plan_torch_dist
from ckpt_convert.writing.progress import Progress
from ckpt_convert.writing.tokenizer_files import tokenizer_files
from ckpt_convert.writing.write import write
from harness.checkpoint.conversion_facts import ConversionFacts
from harness.checkpoint.files import CONFIG, RELEASE, CheckpointFormat
from harness.checkpoint.folder import is_hugging_face
from harness.errors import ConfigError

type Folder = HuggingFaceFolder | MegatronFolder
type TargetFormat = Literal[CheckpointFormat.TORCH_DIST, CheckpointFormat.HUGGING_FACE]


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """A source that was opened, the model in it, and every byte of the output but the weights' values.

    Those come from `rows`: the source's tensors, in the number formats that the output wants.
    """

    source: Folder
    model: Model
    to: TargetFormat
    dtype: Dtype
    rows: TensorSource
    plan: OutputPlan

    @property
    def facts(self) -> ConversionFacts:
        """What a record of the conversion keeps."""
        source, plan = self.source, self.plan
        return ConversionFacts(
            source=str(source.folder),
            source_format=source.format.value,
            target_format=self.to.value,
            family=self.model.family,
            dtype=self.dtype.value,
            read_tensors=len(source.tensors),
            read_files=len(source.files),
            read_bytes=sum(info.size_bytes for info in source.tensors.values()),
            write_tensors=len(plan.tensors),
            write_files=len(plan.files),
            write_bytes=plan.size_bytes,
        )


def open_folder(folder: Path) -> Folder:
    """A checkpoint of any format. ConfigError where it is none."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; give the folder that holds the checkpoint")
    return open_hugging_face(folder) if is_hugging_face(folder) else open_megatron(folder)


def plan_conversion(source: Folder, *, to: TargetFormat | None, dtype: Dtype | None, exact: Exact | None) -> Conversion:
    """Everything that the output will hold. ConfigError names every tensor that does not fit.

    By default the other side's format is written, a legacy checkpoint becomes `torch_dist`, and numbers keep their
    format (FP8 becomes bf16).
    """
    to = to or _usual_target(source)
    if exact and to != CheckpointFormat.TORCH_DIST:
        raise ConfigError("--exact is a form of torch_dist; leave it out to write a Hugging Face checkpoint")
    dtype = dtype or prevailing_dtype(source.tensors)
    model, where = model_of(source), str(source.folder)
    if isinstance(source, HuggingFaceFolder):
        _refuse_strange(source)
    if to == CheckpointFormat.HUGGING_FACE:
        if isinstance(source, HuggingFaceFolder):
            raise ConfigError(f"{where} is a Hugging Face checkpoint already; --to torch_dist converts it")
        plan = plan_safetensors(
            to_hugging_face(model, source.tensors, dtype=dtype, where=where), tuple(tokenizer_files(source.folder))
        )
    else:
        lay_out = to_megatron if isinstance(source, HuggingFaceFolder) else megatron_to_megatron
        blueprint = lay_out(model, source.tensors, dtype=dtype, where=where, exact=exact)
        plan = plan_torch_dist(blueprint, tuple(tokenizer_files(source.folder, RELEASE)))
    rows = cast_for(plan.tensors, source)
    return Conversion(source=source, model=model, to=to, dtype=dtype, rows=rows, plan=plan)


def _refuse_strange(source: HuggingFaceFolder) -> None:
    """Raise ConfigError for tensors that would be left out silently, since no weight has their format."""
    known = ", ".join(dtype.value for dtype in Dtype)
    strange = [
        f"{source.folder}: {name} is {dtype}; weights are {known}: save it in one of them, or remove it"
        for name, dtype in source.others.items()
    ]
    if strange:
        raise ConfigError(strange)


def convert(conversion: Conversion, target: Path, *, resume: bool, threads: int, progress: Progress) -> None:
    """Write what was planned to `target`, which appears when it is whole."""
    write(
        conversion.plan,
        conversion.rows,
        target,
        resume=resume,
        threads=threads,
        source_fingerprint=conversion.source.fingerprint(),
        progress=progress,
    )


def model_of(source: Folder) -> Model:
    """The model that a checkpoint's config.json, or the arguments saved with it, describe."""
    if isinstance(source, HuggingFaceFolder):
        return model_of_config(source.config, str(source.folder / CONFIG))
    return model_of_megatron(source.args, source.tensors, str(source.folder), source.record)


def prevailing_dtype(tensors: Mapping[str, TensorInfo]) -> Dtype:
    """The number format of most weights; bf16 where they are FP8, which only training recipes of their own can load."""
    elements: Counter[Dtype] = Counter()
    for info in tensors.values():
        elements[info.dtype] += prod(info.shape)
    found = elements.most_common(1)
    return Dtype.BF16 if not found or Dtype.F8_E4M3 in elements else found[0][0]


def cast_for(tensors: Iterable[Assembly], source: TensorSource) -> TensorSource:
    """`source` in the number formats that `tensors` want their parts in."""
    formats = {part.source: assembly.dtype for assembly in tensors for part in assembly.parts}
    return CastSource(source, lambda name, info: formats.get(name, info.dtype))


def _usual_target(source: Folder) -> TargetFormat:
    if isinstance(source, HuggingFaceFolder) or source.format is CheckpointFormat.LEGACY:
        return CheckpointFormat.TORCH_DIST
    return CheckpointFormat.HUGGING_FACE
