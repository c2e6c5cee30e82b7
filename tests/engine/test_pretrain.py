"""The engine's entry point, under torchrun and on its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from engine_models import GROUPED_GEMM, GROUPED_QUERY, LATENT, ON_CPU, TRAINING

from harness.data.prepare import prepare
from harness.data.tokenizers import HuggingFaceTokenizer

pytestmark = pytest.mark.slow

REAL_TRAINING = tuple(word for word in TRAINING if word != "--mock-data")
REFUSE_CUDA = """
import torch
torch.cuda.is_available = lambda: True
from harness.engine.device import install_cpu_ranks
install_cpu_ranks()
"""


def python(repository: Path, *arguments: str, path: str = "", **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run Python on the engine, one thread, with `path` searched first."""
    search = os.pathsep.join(filter(None, (path, str(repository))))
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": search, **environ}
    return subprocess.run([sys.executable, *arguments], env=environ, text=True, capture_output=True, timeout=100)


def test_torchrun_on_real_text(repository: Path, tmp_path: Path) -> None:
    """Two ranks train on a prepared text, log to WandB offline, and say what was in effect and what memory it took."""
    data = prepare([foxes(tmp_path)], tmp_path / "fox")
    # The tokenizer's size counts the end of document, which is token 256 here.
    real = (*on_data(data.prefix, tmp_path), "--vocab-size", "257")
    wandb = ("--wandb-project", "engine", "--wandb-exp-name", "fox", "--wandb-save-dir", str(tmp_path / "wandb"))
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "harness.engine.pretrain")
    timers = ("--log-timers-to-tensorboard", "--timing-log-level", "1")
    mapping = ("--expert-model-parallel-size", "2", "--tensorboard-dir", str(tmp_path / "tensorboard"))
    argv = (*ON_CPU, *REAL_TRAINING, *LATENT, *GROUPED_GEMM, *real, *wandb, *timers, *mapping)
    done = python(repository, *torchrun, *argv, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr[-6000:]

    in_effect = said(done.stdout, "in effect")
    assert [in_effect[key] for key in ("world_size", "tp", "pp", "ep", "cp", "dp")] == [2, 1, 1, 2, 1, 2]
    assert in_effect["dispatcher"] == "alltoall"
    assert in_effect["grouped_gemm"] is True
    assert in_effect["group_score"] == "sum"
    assert (in_effect["device"], in_effect["gpu"], in_effect["precision"]) == ("cpu", None, "fp32")
    assert in_effect["mtp_layers"] == 1
    assert in_effect["flops_per_step"] > 1e7
    peak = said(done.stdout, "peak memory")
    assert peak["kind"] == "rss"
    assert [rank_bytes > 2e8 for rank_bytes in peak["per_rank_bytes"]] == [True, True]
    losses = [float(line.split("lm loss: ")[1].split()[0]) for line in done.stdout.splitlines() if "lm loss: " in line]
    assert len(losses) == 10
    assert losses[-1] < losses[0] - 0.2
    (logged,) = (tmp_path / "wandb").rglob("*.wandb")
    assert b"forward-backward-time" in logged.read_bytes()


def test_hugging_face_tokenizer_by_path(ranks: Any, tmp_path: Path) -> None:
    """A tokenizer's folder serves both the preparation of the data and the training."""
    letters = tokenizers.models.WordLevel({chr(code): code for code in range(128)}, unk_token="?")
    tokenizer = tokenizers.Tokenizer(letters)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    tokenizer.add_special_tokens(["<eos>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<eos>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(names))
    data = prepare([foxes(tmp_path)], tmp_path / "fox", tokenizer=HuggingFaceTokenizer(tmp_path))
    by_path = ("--tokenizer-type", "HuggingFaceTokenizer", "--tokenizer-model", str(tmp_path))
    job = ranks.run(*ON_CPU, *REAL_TRAINING, *GROUPED_QUERY, *on_data(data.prefix, tmp_path), *by_path)
    assert job.curve.loss[-1] < job.curve.loss[0] - 0.2
    assert "padded vocab (size: 129)" in job.log


def test_a_plain_job_imports_nothing_that_it_has_no_use_for(ranks: Any) -> None:
    """Dynamo, transformers and WandB together would cost each rank as much again as Megatron itself."""
    argv = (*ON_CPU, *TRAINING, *GROUPED_QUERY, "--train-iters", "2")
    job = ranks.run(*argv, task="train_and_name_what_was_imported")
    assert job.curve.iterations == (1, 2)
    assert job.log.splitlines()[-1] == "imported: []"


def test_a_rank_that_dies_takes_the_others_along(ranks: Any) -> None:
    """The rank's own traceback is in the log, and no rank waits for it."""
    job = ranks.run(
        *ON_CPU,
        *TRAINING,
        *LATENT,
        "--pipeline-model-parallel-size",
        "2",
        world_size=2,
        task="train_until_rank_1_fails",
    )
    assert job.exit_codes[1] == 1
    assert job.exit_codes[0] not in (0, -9)
    assert "ValueError: rank 1 has had enough" in job.log


def test_refuses_transformer_engine(ranks: Any) -> None:
    """Megatron's default implementation is Transformer Engine; the message names the flag to pass."""
    argv = [word for word in ON_CPU if word not in ("--transformer-impl", "local")]
    job = ranks.run(*argv, *TRAINING, *LATENT, task="train_from_the_entry_point")
    assert job.exit_codes == (2,)
    assert job.log.splitlines()[-1] == "engine: found --transformer-impl transformer_engine; allowed: local"


def test_refuses_rows_that_grouped_mm_cannot_take(ranks: Any) -> None:
    """An expert's hidden size that is no multiple of 16 bytes, and all else that is wrong, is named at once."""
    argv = (*LATENT, *GROUPED_GEMM, "--moe-ffn-hidden-size", "18", "--normalization", "LayerNorm")
    job = ranks.run(*ON_CPU, *TRAINING, *argv, task="train_from_the_entry_point")
    assert job.exit_codes == (2,)
    assert job.log.splitlines()[-2:] == [
        "engine: found --normalization LayerNorm; allowed: RMSNorm, without --apply-layernorm-1p",
        "engine: --moe-ffn-hidden-size over --expert-tensor-parallel-size is 18; --moe-grouped-gemm in torch.float32 "
        "wants a multiple of 4 (rows of 16 bytes); change it, or leave out --moe-grouped-gemm",
    ]


def test_refuses_cpu_ranks_beside_cuda(repository: Path) -> None:
    """CPU ranks are never installed silently where a GPU is."""
    done = python(repository, "-c", REFUSE_CUDA)
    assert done.returncode == 1
    assert "EnvironmentProblem: install_cpu_ranks: CUDA is present" in done.stderr.splitlines()[-1].split("errors.")[-1]


def test_refuses_another_megatron(repository: Path, tmp_path: Path) -> None:
    """One line and exit code 2 where megatron-core is not the release the engine is for."""
    metadata = tmp_path / "megatron_core-0.18.2.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: megatron-core\nVersion: 0.18.2\n")
    done = python(repository, "-m", "harness.engine.pretrain", path=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == "engine: megatron-core 0.18.2 is installed; it needs 0.19\n"


def foxes(folder: Path) -> Path:
    """A file of many short documents."""
    path = folder / "foxes.jsonl"
    path.write_text((json.dumps({"text": "The quick brown fox jumps over the lazy dog."}) + "\n") * 400)
    return path


def on_data(prefix: Path, folder: Path) -> tuple[str, ...]:
    """The arguments that train on a data set."""
    return ("--data-path", str(prefix), "--split", "1,0,0", "--data-cache-path", str(folder / "cache"))


def said(output: str, what: str) -> Any:
    """The JSON that the engine printed after `moe-harness: <what>`."""
    lines = [line for line in output.splitlines() if line.startswith(f"moe-harness: {what} ")]
    assert len(lines) == 1
    return json.loads(lines[0].removeprefix(f"moe-harness: {what} "))
