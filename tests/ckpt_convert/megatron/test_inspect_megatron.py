"""What `inspect` tells of Megatron's folders, whole and damaged."""

import json
import re
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch_side import TorchDist

from ckpt_convert.inspect import inspect
from harness.config.releases import Release, known, load

TRACKER = "latest_checkpointed_iteration.txt"


@pytest.mark.slow
def test_a_real_save(saves: Mapping[str, Path]) -> None:
    """Everything is told: release, mapping, step, optimizer; and nothing is damaged."""
    found = inspect(saves["latent"])
    assert (found.format, found.step, found.has_optimizer, found.damage) == ("torch_dist", 1, True, ())
    assert found.release == "0.19"
    assert {name: found.mapping[name] for name in ("tp", "pp", "ep", "etp")} == {"tp": 2, "pp": 2, "ep": 2, "etp": 1}
    assert found.weights
    assert found.weights.dtypes == {"F32": found.weights.tensors}
    assert not inspect(saves["stacked"]).has_optimizer


@pytest.fixture
def whole_folder(tmp_path: Path) -> Path:
    """A folder of two files with a tracker and integrity.json."""
    writer = TorchDist(tmp_path / "iter_0000009")
    writer.tensor("output_layer.weight", torch.randn(64, 32).bfloat16(), [((0, 32), (0, 32)), ((32, 64), (0, 32))])
    writer.tensor("optimizer.state.exp_avg.output_layer.weight", torch.randn(64, 32))
    folder = writer.close(common={"args": Namespace(tensor_model_parallel_size=2), "iteration": 9})
    names = [entry.name for entry in folder.iterdir()]
    (folder / "integrity.json").write_text(json.dumps({"algorithm": "sha256", "files": dict.fromkeys(names, "0" * 64)}))
    (tmp_path / TRACKER).write_text("9")
    return tmp_path


def test_a_whole_folder(whole_folder: Path) -> None:
    """Optimizer states are not counted as weights; few arguments do not tell a release."""
    found = inspect(whole_folder)
    assert found.damage == ()
    assert found.weights
    assert (found.weights.tensors, found.weights.parameters, found.weights.size_bytes) == (1, 2048, 4096)
    assert (found.step, found.has_optimizer, dict(found.mapping)) == (9, True, {"tp": 2})
    assert found.release is None
    assert found.release_how == "1 arguments in it, too few to tell"


def shorten(path: Path) -> None:
    """Cut a file's last bytes off."""
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("name", "harm", "flaw"),
    [
        ("__1_0.distcp", Path.unlink, r"__1_0\.distcp: missing, \d+ bytes"),
        ("__1_0.distcp", shorten, r"__1_0\.distcp: \d+ bytes, 100 less than \.metadata says"),
        ("__0_0.distcp", shorten, r"__0_0\.distcp: \d+ bytes, 100 less than \.metadata says"),
        (".metadata", shorten, r"\.metadata: the pickle is damaged"),
        (".metadata", Path.unlink, r"iter_0000009: \.metadata missing: not a whole torch_dist checkpoint"),
        ("metadata.json", Path.unlink, r"iter_0000009: metadata\.json missing"),
        ("common.pt", shorten, r"common\.pt: not a file of torch\.save, or cut short"),
        ("common.pt", Path.unlink, r"common\.pt: missing, though integrity\.json names it"),
        ("integrity.json", shorten, r"integrity\.json"),
        ("extra", Path.touch, r"extra: not in integrity\.json"),
    ],
)
def test_damage(whole_folder: Path, name: str, harm: Callable[[Path], None], flaw: str) -> None:
    """Named with the file; the folder is still told for what it is."""
    harm(whole_folder / "iter_0000009" / name)
    found = inspect(whole_folder)
    assert found.format == "torch_dist"
    assert any(re.search(flaw, text) for text in found.damage), found.damage


def test_chunks_without_a_crc(tmp_path: Path) -> None:
    """torch can be told to leave the sums out; then nobody can find a flipped bit."""
    torch.serialization.set_crc32_options(False)
    try:
        writer = TorchDist(tmp_path / "iter_0000009", files=1)
        writer.tensor("output_layer.weight", torch.randn(4, 4))
        writer.close()
    finally:
        torch.serialization.set_crc32_options(True)
    (flaw,) = inspect(tmp_path / "iter_0000009").damage
    assert re.search(r"__0_0\.distcp: \d entries without a CRC-32, .*: a flipped bit would not be found", flaw)


def test_an_empty_tracker(whole_folder: Path) -> None:
    """Megatron starts from random weights there."""
    (whole_folder / TRACKER).write_text("")
    found = inspect(whole_folder)
    assert found.damage == (
        f"{whole_folder / TRACKER}: empty; expected release or the number of an iteration; "
        "or name one of its folders: iter_0000009",
    )


@pytest.mark.parametrize("release", known(), ids=str)
def test_each_release_by_its_arguments(tmp_path: Path, release: Release) -> None:
    """Every release is told by the arguments of its own command line."""
    args = Namespace(**{option.dest: None for option in load(release).options.values()}, rank=0, world_size=8)
    writer = TorchDist(tmp_path / "release", files=1)
    writer.tensor("output_layer.weight", torch.randn(4, 4))
    writer.close(common={"args": args})
    found = inspect(tmp_path / "release")
    assert (found.release, found.mapping["world"], found.step) == (str(release), 8, None)


def test_a_legacy_folder(tmp_path: Path) -> None:
    """Opened the same; a damaged rank is named."""
    path = tmp_path / "release" / "mp_rank_00" / "model_optim_rng.pt"
    path.parent.mkdir(parents=True)
    args = Namespace(num_layers=0, tensor_model_parallel_size=1)
    torch.save({"args": args, "model": {"output_layer.weight": torch.ones(4, 2)}, "optimizer": {}}, path)
    found = inspect(tmp_path / "release")
    assert (found.format, found.has_optimizer, found.damage) == ("legacy", True, ())
    shorten(path)
    found = inspect(tmp_path / "release")
    assert found.format == "legacy"
    (flaw,) = found.damage
    assert flaw.startswith(f"{path}: not a file of torch.save, or cut short")
