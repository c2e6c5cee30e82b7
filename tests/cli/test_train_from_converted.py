"""Training goes on from a converted checkpoint: Megatron's first loss is transformers' loss on the same batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cli_command import moe_harness
from transformers import AutoModelForCausalLM

from harness.launch.rundir import RunPaths
from harness.runs.samples_file import load_samples

TEXT = "".join(chr(33 + index * 29 % 94) for index in range(128))  # as long as a sequence, so every sample is the same


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("DeepSeek-V3", ()),
        ("DeepSeek-V2", ("GROUP_SCORE=max",)),
        ("DeepSeek-V2-Lite", ()),
        ("Mixtral-8x7B", ()),
        ("Qwen2-57B-A14B", ()),
    ],
)
def test_the_first_loss_is_that_of_transformers(
    model: str, settings: tuple[str, ...], repository: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    tool = [sys.executable, repository / "tools/random_checkpoint.py", source, f"MODEL={model}"]
    subprocess.run(tool, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(repository)})
    (tmp_path / "text").write_text(TEXT * 100)
    for words in (("convert", str(source), str(target)), ("data", "prepare", "text", "--output", "same")):
        answer = moe_harness(*words, here=tmp_path)
        assert answer.code == 0, answer.err

    words = (f"MODEL={model}", f"LOAD_PATH={target}", f"DATA_PATH={tmp_path}/same_text_document", "TRAIN_ITERS=3")
    answer = moe_harness("launch", *words, *settings, here=tmp_path)
    assert answer.code == 0, answer.err
    (path,) = tmp_path.glob(f"runs/{model}-*/record.json")
    losses = [sample["loss"] for sample in load_samples(RunPaths(path.parent))]
    assert losses[0] == pytest.approx(loss_of_transformers(source), abs=2e-5)
    assert losses[-1] < losses[0]


def loss_of_transformers(folder: Path) -> float:
    """Mean cross entropy of the text's next bytes, the first following the last."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tokens = torch.tensor([list(TEXT.encode())])
    with torch.inference_mode():
        logits = model(tokens, use_cache=False).logits[0]
    return float(torch.nn.functional.cross_entropy(logits, tokens[0].roll(-1)))


@pytest.mark.slow
def test_flags_that_contradict_the_weights_are_refused(repository: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    tool = [sys.executable, repository / "tools/random_checkpoint.py", source, "MODEL=DeepSeek-V3"]
    subprocess.run(tool, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(repository)})
    assert moe_harness("convert", str(source), str(target), here=tmp_path).code == 0
    words = ("MODEL=DeepSeek-V3", f"LOAD_PATH={target}", "--", "--norm-epsilon=1e-5", "--mscale-all-dim=0")
    answer = moe_harness("launch", *words, here=tmp_path)
    assert answer.code == 2
    assert len(answer.errors) == 2
    assert not list(tmp_path.glob("runs/DeepSeek-V3-*"))
