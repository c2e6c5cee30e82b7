"""What a conversion says of itself beforehand is what lies in the folders afterwards."""

from pathlib import Path

import pytest
from tiny_models import make_tiny, weights_of

from ckpt_convert.conversion import convert, open_folder, plan_conversion
from ckpt_convert.tensors import Dtype
from ckpt_convert.writing.progress import Silent
from harness.checkpoint.conversion_facts import ConversionFacts


def converted(source: Path, target: Path, dtype: Dtype | None = None) -> ConversionFacts:
    """Convert, and say what was known before."""
    with open_folder(source) as folder:
        conversion = plan_conversion(folder, to=None, dtype=dtype, exact=None)
        facts = conversion.facts
        convert(conversion, target, resume=False, threads=2, progress=Silent())
    return facts


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("family", ["DeepSeek-V3", "Mixtral"])
def test_facts_are_what_is_read_and_written(family: str, tmp_path: Path) -> None:
    source, there, back = (tmp_path / name for name in ("source", "there", "back"))
    make_tiny(family, source, dtype="bf16", shards=3)
    first, second = converted(source, there), converted(there, back, Dtype.F32)
    assert (first.family, first.source_format, first.target_format) == (family, "hugging-face", "torch_dist")
    assert (second.family, second.source_format, second.target_format) == (family, "torch_dist", "hugging-face")
    assert (first.source, first.dtype) == (str(source), "BF16")
    assert (second.source, second.dtype) == (str(there / "release"), "F32")
    weights = weights_of(source)
    assert (first.read_tensors, first.read_files) == (len(weights), 3)
    assert first.read_bytes == sum(tensor.nbytes for tensor in weights.values())
    assert first.write_tensors == second.read_tensors
    assert second.write_tensors == len(weights_of(back))
    assert first.write_files == len(files(there)) - 2
    assert second.write_files == len(files(back)) - 1
    for facts, target in ((first, there), (second, back)):
        assert facts.write_bytes == sum(path.stat().st_size for path in files(target))
