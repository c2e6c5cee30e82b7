"""What `inspect` tells of Hugging Face folders, interrupted conversions and folders of nothing; never a traceback."""

import json
import time
from pathlib import Path

import pytest
from tiny_models import make_tiny

from ckpt_convert.inspect import inspect
from ckpt_convert.writing.journal import Fingerprint, Finished, Journal
from harness.errors import ConfigError


def test_a_hugging_face_folder(tmp_path: Path) -> None:
    """Architecture, tensors and formats."""
    folder = make_tiny("Mixtral", tmp_path / "mixtral", dtype="bf16", shards=3)
    found = inspect(folder)
    assert (found.folder, found.format, found.family) == (folder, "hugging-face", "Mixtral")
    assert found.damage == ()
    assert found.weights
    assert found.weights.dtypes == {"BF16": found.weights.tensors}
    assert found.weights.size_bytes == 2 * found.weights.parameters
    assert (found.release, found.step, found.has_optimizer, dict(found.mapping)) == (None, None, False, {})


def test_a_model_that_cannot_be_converted(tmp_path: Path) -> None:
    """Told by its architecture."""
    folder = make_tiny("Mixtral", tmp_path / "mixtral")
    config = json.loads((folder / "config.json").read_text()) | {"architectures": ["OtherForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(config))
    assert inspect(folder).family == "OtherForCausalLM"


def test_a_hugging_face_folder_with_a_broken_shard(tmp_path: Path) -> None:
    """Damage is an answer, and names the file."""
    folder = make_tiny("Mixtral", tmp_path / "mixtral", shards=3)
    shard = sorted(folder.glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-10])
    found = inspect(folder)
    assert found.format == "hugging-face"
    assert found.weights is None
    assert any(str(shard) in flaw for flaw in found.damage)


@pytest.mark.parametrize("asked", ["target", "target.partial"])
def test_an_interrupted_conversion(tmp_path: Path, asked: str) -> None:
    """Told by the journal, by either name; a target that is there comes first."""
    partial = tmp_path / "target.partial"
    partial.mkdir()
    journal = Journal(partial / "journal.jsonl")
    journal.begin(Fingerprint(plan="a", source="b"))
    for number in range(3):
        journal.add(Finished(name=f"__{number}_0.distcp", size_bytes=100, sha256="0" * 64))
    found = inspect(tmp_path / asked)
    assert (found.folder, found.format) == (partial, "interrupted conversion")
    assert (found.finished_files, found.finished_bytes) == (3, 300)
    (tmp_path / "target").mkdir()
    assert inspect(tmp_path / "target").format == "unknown"


def test_other_folders(tmp_path: Path) -> None:
    """What is in them, and what would have to be."""
    (tmp_path / "notes.txt").touch()
    (flaw,) = inspect(tmp_path).damage
    assert flaw == (
        f"{tmp_path}: no checkpoint: neither config.json, *.safetensors, latest_checkpointed_iteration.txt nor "
        "weights of Megatron are in it; found: notes.txt"
    )
    with pytest.raises(ConfigError, match="absent: no such folder"):
        inspect(tmp_path / "absent")


def test_it_takes_less_than_a_second(tmp_path: Path) -> None:
    """Headers alone are read."""
    folder = make_tiny("DeepSeek-V3", tmp_path / "v3")
    start = time.perf_counter()
    found = inspect(folder)
    assert time.perf_counter() - start < 1
    assert found.weights
    assert found.weights.parameters > 1e5
