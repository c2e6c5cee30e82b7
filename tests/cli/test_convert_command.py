"""`moe-harness convert` as a user runs it, on tiny models of every family."""

import filecmp
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cli_command import CODE, Answer, moe_harness
from tiny_models import FAMILIES, make_tiny, weights_of

from harness.cli.main import run


@pytest.fixture(autouse=True)
def _runs_in_a_folder_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT_PATH", str(tmp_path / "runs"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny bf16 model of every family."""
    folder = tmp_path_factory.mktemp("hugging face")
    for family in FAMILIES:
        make_tiny(family, folder / family, dtype="bf16", shards=2)
    return folder


@pytest.fixture(scope="module")
def converted(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The DeepSeek-V3 of them as torch_dist."""
    target = tmp_path_factory.mktemp("megatron") / "DeepSeek-V3"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(target.parent)
        assert run(["convert", str(sources / "DeepSeek-V3"), str(target)]) == 0
    return target


def convert(*words: object, here: Path, **environ: str) -> Answer:
    """`moe-harness convert WORDS`, with more in the environment."""
    return moe_harness("convert", *map(str, words), here=here, environ=environ)


def same_weights(one: Path, other: Path) -> bool:
    """Whether two Hugging Face folders hold the same tensors, bit for bit."""
    first, second = weights_of(one), weights_of(other)
    return first.keys() == second.keys() and all(
        tensor.dtype == second[name].dtype and torch.equal(tensor, second[name]) for name, tensor in first.items()
    )


def same_trees(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    files = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
    others = {path.relative_to(other) for path in other.rglob("*") if path.is_file()}
    return files == others and all(filecmp.cmp(one / file, other / file, shallow=False) for file in files)


@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back_is_the_same_bit_for_bit(family: str, sources: Path, tmp_path: Path) -> None:
    there, back = str(tmp_path / "there"), str(tmp_path / "back")
    source = str(sources / family)
    assert run(["convert", source, there]) == 0
    assert run(["convert", there, back]) == 0
    assert same_weights(Path(back), sources / family)
    config, original = (json.loads((Path(folder) / "config.json").read_text()) for folder in (back, source))
    assert config == original
    for one, other in ((source, there), (there, back)):
        assert run(["convert", "verify", one, other]) == 0


def test_fp8_becomes_the_bf16_that_torch_computes(repository: Path, tmp_path: Path) -> None:
    source, there, back = (tmp_path / name for name in ("source", "there", "back"))
    environ = {**os.environ, "PYTHONPATH": str(repository)}
    tool = [sys.executable, repository / "tools/random_checkpoint.py", source, "--dtype=fp8", "MODEL=DeepSeek-V3"]
    subprocess.run(tool, check=True, env=environ)
    assert run(["convert", str(source), str(there)]) == 0
    assert run(["convert", str(there), str(back)]) == 0
    assert run(["convert", "verify", str(source), str(there)]) == 0
    assert "quantization_config" not in json.loads((back / "config.json").read_text())
    codes, found = weights_of(source), weights_of(back)
    quantised = {name for name, tensor in codes.items() if tensor.dtype is torch.float8_e4m3fn}
    assert len(quantised) > 50
    for name in quantised:
        rows, columns = codes[name].shape
        scale = codes[f"{name}_scale_inv"].repeat_interleave(128, 0)[:rows].repeat_interleave(128, 1)[:, :columns]
        assert torch.equal(found[name], (codes[name].float() * scale).bfloat16()), name


def test_the_command_says_what_it_did_and_what_the_weights_need(sources: Path, tmp_path: Path) -> None:
    answer = convert(sources / "DeepSeek-V3", "v3", here=tmp_path)
    assert answer.code == 0, answer.err
    assert f"LOAD_PATH={tmp_path}/v3" in answer.out
    assert {"--moe-router-score-function sigmoid", "--mtp-num-layers 1", "--qk-layernorm"} <= set(
        answer.out.splitlines()
    )
    assert "Traceback" not in answer.err


def test_a_dry_run_lists_files_and_tensors_and_writes_nothing(sources: Path, tmp_path: Path) -> None:
    answer = convert("--dry-run", sources / "Mixtral", "mixtral", here=tmp_path)
    assert answer.code == 0, answer.err
    assert not any(tmp_path.iterdir())
    lines = answer.out.splitlines()
    assert any(line.startswith("file     release/__0_0.distcp") for line in lines)
    (fused,) = (
        line for line in lines if line.startswith("tensor   decoder.layers.0.self_attention.linear_qkv.weight ")
    )
    assert "from model.layers.0.self_attn.q_proj.weight and 2 more" in fused


def test_a_flipped_bit_anywhere_is_found(
    sources: Path, converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(converted, copy)
    chance = random.Random(3)
    for path in sorted(path for path in copy.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        places = [0, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(4))]
        for place in places:
            damaged = bytearray(whole)
            damaged[place] ^= 1 << chance.randrange(8)
            path.write_bytes(damaged)
            code = run(["convert", "verify", str(sources / "DeepSeek-V3"), str(copy)])
            assert code in (1, 2), f"{path.name}: byte {place} of {len(whole)}"
            assert "error: " in capsys.readouterr().err
        path.write_bytes(whole)
    assert run(["convert", "verify", str(sources / "DeepSeek-V3"), str(copy)]) == 0


def test_a_changed_weight_is_found_without_hashes(sources: Path, converted: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(converted, copy)
    (copy / "release/integrity.json").unlink()
    answer = convert("verify", sources / "DeepSeek-V3", copy, here=tmp_path)
    assert answer.code == 0, answer.err
    assert "no integrity.json" in answer.out
    path = copy / "release/__0_0.distcp"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    answer = convert("verify", sources / "DeepSeek-V3", copy, here=tmp_path)
    assert answer.code == 1
    assert "CRC-32" in answer.errors[0]


@pytest.mark.slow
def test_killed_at_ten_moments_and_resumed(repository: Path, tmp_path: Path) -> None:
    """Ten SIGKILLs at random moments, then to the end: the very bytes of a conversion that nobody disturbed."""
    source = tmp_path / "source"
    environ = {**os.environ, "PYTHONPATH": str(repository)}
    experts = ("--num-experts=64", "--moe-ffn-hidden-size=1024", "--moe-shared-expert-intermediate-size=1024")
    words = ("MODEL=DeepSeek-V3", "NUM_LAYERS=6", "--", *experts)
    subprocess.run([sys.executable, repository / "tools/random_checkpoint.py", source, *words], check=True, env=environ)
    assert run(["convert", str(source), str(tmp_path / "whole")]) == 0
    chance = random.Random(5)
    command = [sys.executable, "-c", CODE, "convert", str(source), str(tmp_path / "killed"), "--resume"]
    killed = 0
    for _ in range(10):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=chance.uniform(0.2, 0.7))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        if (tmp_path / "killed").exists():  # it was faster than the signal
            assert same_trees(tmp_path / "killed", tmp_path / "whole")
            shutil.rmtree(tmp_path / "killed")
    assert killed
    assert run(["convert", str(source), str(tmp_path / "killed"), "--resume"]) == 0
    assert same_trees(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere", "target"), "nowhere is not a folder; give the folder that holds the checkpoint"),
        (("{mixtral}", "target", "--to", "hugging-face"), "{mixtral} is a Hugging Face checkpoint already; …"),
        (("{mixtral}", "target", "--exact"), "--exact writes what one release asks for; name it: --target-release …"),
        (("{mixtral}", "taken"), "…taken…"),
    ],
)
def test_mistakes(words: tuple[str, ...], message: str, sources: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    fill = {"mixtral": str(sources / "Mixtral")}
    answer = convert(*(word.format(**fill) for word in words), here=tmp_path)
    assert answer.code == 2
    (error,) = answer.errors
    assert all(part in error for part in message.format(**fill).split("…")), error
    assert "Traceback" not in answer.err
    assert not (tmp_path / "target").exists()


def test_a_checkpoint_of_another_model_is_noticed(sources: Path, tmp_path: Path) -> None:
    answer = convert("--dry-run", sources / "DeepSeek-V2-Lite", "target", here=tmp_path, MODEL="DeepSeek-V3")
    assert answer.code == 0
    assert "this is not DeepSeek-V3 as it was published: --moe-router-score-function absent, not sigmoid" in answer.err
    assert "--hidden-size 64, not 7168" in answer.err
    answer = convert("--dry-run", sources / "DeepSeek-V2-Lite", "target", here=tmp_path, MODEL="DeepSeek-V9")
    assert answer.code == 2


def test_a_slurm_job_needs_no_more_than_account_and_partition(sources: Path, tmp_path: Path) -> None:
    conf = tmp_path / "cluster_configs/benchmarking/mine.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("[cluster]\nACCOUNT = me\nPARTITION = cpu\nSBATCH_ARGS = --exclusive --gpus-per-node=8 --qos=low\n")
    words = (sources / "Mixtral", "a b", "--on", "slurm", "--dry-run")
    answer = convert(*words, here=tmp_path, CLUSTER="mine")
    assert answer.code == 0, answer.err
    assert [line for line in answer.out.splitlines() if line.startswith("#SBATCH")] == [
        f"#SBATCH --{option}"
        for option in (
            *("job-name=convert-a_b", "account=me", "partition=cpu", "nodes=1", "ntasks-per-node=1"),
            *("cpus-per-task=8", "mem=2G", "no-requeue", "open-mode=append", "qos=low"),
        )
    ]
    answer = convert(*words, here=tmp_path)
    assert answer.code == 2
    assert [error.partition(": ")[2].partition(";")[0] for error in answer.errors] == [
        "ACCOUNT=YOUR_ACCOUNT is not filled in",
        "PARTITION=YOUR_PARTITION is not filled in",
    ]
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    answer = convert(sources / "Mixtral", "taken", "--on", "slurm", "--dry-run", here=tmp_path, CLUSTER="mine")
    assert answer.errors == ["taken: exists already; remove it or choose another target"]


def test_a_slurm_job_runs_the_same_command(sources: Path, tmp_path: Path) -> None:
    words = (sources / "Mixtral", "a 'target'", "--on", "slurm", "--dry-run", "--threads", "3")
    answer = convert(*words, here=tmp_path, ACCOUNT="me", PARTITION="gpu", RUN_TIME="02:00:00")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert {"#SBATCH --partition=gpu", "#SBATCH --cpus-per-task=3", "#SBATCH --time=02:00:00"} <= set(lines)
    begin = lines.index("program=(") + 1
    program = shlex.split("\n".join(lines[begin : lines.index(")", begin)]))
    target = str(tmp_path / "a 'target'")
    assert program[1:7] == ["-m", "harness", "convert", "run", str(sources / "Mixtral"), target]
    assert {"--resume", "--threads=3"} <= set(program)
