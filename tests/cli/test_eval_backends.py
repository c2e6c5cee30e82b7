"""lm-eval's own models behind `eval --backend`: the same weights, tasks and scores as our own."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cli_command import Answer, moe_harness
from local_tasks import VOCAB_SIZE, write_tasks, write_tokenizer
from tiny_checkpoints import convert_tiny

import harness.evaluation
from harness.checkpoint.files import TRACKER
from harness.cli.eval_hf_worker import evaluate_with_hf
from harness.errors import ConfigError
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec, TaskOptions, ValidationData

pytestmark = pytest.mark.slow

OFFLINE = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
TASKS = ("--include-path=tasks", "--tasks=local_choice,local_text,local_answer", "--limit=3", "--log-samples")
BYTES = (
    f"the byte-level tokenizer has 257 tokens, the model's vocabulary {VOCAB_SIZE}: set TOKENIZER_MODEL=FOLDER of the"
    " tokenizer that it was trained with"
)
LENGTH = 64
PROBABILITY = 1e-3


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A checkpoint `ckpt`, `tasks` and a `tokenizer` in one folder, and how to evaluate there."""

    folder: Path

    def __call__(self, *words: str, tokenizer: bool = True) -> Answer:
        """`moe-harness eval WORDS`."""
        named = [f"TOKENIZER_MODEL={self.folder}/tokenizer"] if tokenizer else []
        environ = {**OFFLINE, "OUTPUT_PATH": str(self.folder / "runs")}
        return moe_harness("eval", *words, *named, here=self.folder, environ=environ, timeout_s=300)

    @property
    def results(self) -> list[dict[str, Any]]:
        """The results beside the checkpoint, the oldest first."""
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("ckpt/eval/eval_results_*.json"))]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A model like Mixtral that reads 64 tokens at once."""
    folder = tmp_path_factory.mktemp("backends")
    changes = {"vocab_size": VOCAB_SIZE, "max_position_embeddings": LENGTH}
    checkpoint = convert_tiny("Mixtral", folder, changes)
    checkpoint.weights.parent.rename(folder / "ckpt")
    write_tokenizer(folder / "tokenizer")
    write_tasks(folder / "tasks")
    return Kept(folder=folder)


def test_hf_scores_as_our_own_model(kept: Kept) -> None:
    """Scores and log-likelihoods agree, a comparison says who answered, and nothing converted is left."""
    for backend in ("hf", "megatron"):
        answer = kept("ckpt", "PR=fp32", *TASKS, f"--backend={backend}", "--what=tasks")
        assert answer.code == 0, answer.err + "".join(path.read_text() for path in kept.folder.glob("runs/*/log"))
        assert "local_choice acc " in answer.err, "a step is shown"
    theirs, ours = kept.results
    schema = Path(harness.evaluation.__path__[0], "eval_results.schema.json").read_text()
    jsonschema.validate(theirs, json.loads(schema))
    assert (theirs["lm_eval"]["backend"], ours["lm_eval"]["backend"]) == ("hf", "megatron")
    assert theirs["lm_eval"]["batch"] == "1 sequences"
    assert theirs["mapping"]["ranks"] == 1
    for task, metrics in ours["lm_eval"]["results"].items():
        for name, value in metrics.items():
            theirs_value = theirs["lm_eval"]["results"][task][name]
            assert theirs_value == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value), name
    texts, others = (of["lm_eval"]["samples"]["local_text"] for of in (ours, theirs))
    assert len(texts) == 3
    for text, other in zip(texts, others, strict=True):
        assert other["word_perplexity"] == pytest.approx(text["word_perplexity"], abs=PROBABILITY)
    assert not list(kept.folder.glob("runs/*/hf"))
    compared = kept("compare", "ckpt", tokenizer=False)
    assert compared.code == 0, compared.err
    names = [Path(of["output_file"]).name for of in (theirs, ours)]
    assert f"answered by different backends: hf in {names[0]}, megatron in {names[1]}\n" in compared.out
    again = kept("ckpt", "PR=fp32", *TASKS, "--backend=hf")
    assert (again.code, len(kept.results)) == (0, 2), again.err
    assert "evaluated already" in again.err


def test_what_is_finished_is_kept_and_what_was_converted_is_not(kept: Kept, tmp_path: Path) -> None:
    """A damaged second checkpoint ends the job; what an attempt before had left is no hindrance."""
    damaged = tmp_path / "iter_0000007"
    shutil.copytree(kept.folder / "ckpt/release", damaged)
    os.truncate(damaged / "__0_0.distcp", 1000)
    scratch = tmp_path / "hf"
    (scratch / "checkpoint.partial").mkdir(parents=True)
    whole = EvaluatedCheckpoint(folder=str(kept.folder / "ckpt/release"))
    spec = EvaluationSpec(
        model="Mixtral",
        checkpoints=(whole, EvaluatedCheckpoint(folder=str(damaged), step=7)),
        parts=("tasks",),
        data=ValidationData(files=("unread",), tokenizer=str(kept.folder / "tokenizer")),
        output_dir=str(tmp_path / "eval"),
        seq_len=LENGTH,
        batch_size=2,
        max_tokens=10,
        tasks=TaskOptions(tasks=("local_choice",), limit=1, include_path=str(kept.folder / "tasks")),
        settings={"PR": "fp32", "DEVICE": "cpu"},
        model_args={"--vocab-size": str(VOCAB_SIZE)},
        backend="hf",
    )
    with pytest.raises(ConfigError, match=str(damaged)):
        evaluate_with_hf(spec, scratch)
    assert not scratch.exists()
    assert len(list((tmp_path / "eval").glob("eval_results_*.json"))) == 1
    other = replace(spec, model_args={"--vocab-size": "300"}, seed=1)
    with pytest.raises(ConfigError, match=f"has {VOCAB_SIZE} tokens, the model 300"):
        evaluate_with_hf(other, scratch)


def test_the_script_of_megatron_lm(kept: Kept, tmp_path: Path) -> None:
    """Printed alone on stdout, with what it does otherwise on stderr; it is a script, and nothing was run."""
    source = tmp_path / "megatron/core"
    source.mkdir(parents=True)
    (source / "package_info.py").write_text("MAJOR = 0\nMINOR = 18\n")
    runs = set(kept.folder.glob("runs/*"))
    printed = kept("ckpt", *TASKS, "--backend=megatron_lm", f"MEGATRON_PATH={tmp_path}", "--ngpu=2", "EP=2")
    assert printed.code == 0, printed.err
    assert subprocess.run(["bash", "-n"], input=printed.out, text=True).returncode == 0
    assert f"export MEGATRON_PATH={tmp_path}\n" in printed.out
    assert f'"load": "{kept.folder}/ckpt"' in printed.out
    assert '"devices": 2, "tensor_model_parallel_size": 1, "expert_model_parallel_size": 2' in printed.out
    assert f'"seq_length": {LENGTH}, "micro_batch_size": 8' in printed.out
    assert "notice: megatron_lm computes in bf16, whatever the checkpoint is in" in printed.err
    assert set(kept.folder.glob("runs/*")) == runs


def test_what_megatron_lm_cannot_load(kept: Kept, tmp_path: Path) -> None:
    """A source that is too old, a mapping, bytes, and a folder that Megatron has no name for: all at once."""
    (tmp_path / "megatron/core").mkdir(parents=True)
    (tmp_path / "megatron/core/package_info.py").write_text("MAJOR = 0\nMINOR = 16\n")
    shutil.copytree(kept.folder / "ckpt/release", tmp_path / "weights/mine")
    (tmp_path / "weights" / TRACKER).write_text("release")
    named = (str(tmp_path / "weights/mine"), *TASKS, "--backend=megatron_lm", "PP=2")
    assert kept(*named, f"MEGATRON_PATH={tmp_path}", tokenizer=False).errors == [
        BYTES,
        f"MEGATRON_PATH={tmp_path}: Megatron-Core 0.16, and lm-eval's megatron_lm needs 0.18 or newer; give another",
        "--backend megatron_lm: found PP=2; allowed: 1",
        "--backend megatron_lm: it has no byte-level tokenizer; give the folder of a Hugging Face tokenizer",
        f"{tmp_path}/weights/mine: megatron_lm loads folders iter_NNNNNNN, or the folder release where the tracker"
        " beside it says so; name one of these",
    ]
    assert kept("ckpt", *TASKS, "--backend=megatron_lm").errors == [
        "--backend megatron_lm needs the source of Megatron-LM, 0.18 or newer: give its folder with MEGATRON_PATH, on"
        " the command line or exported"
    ]


@pytest.mark.parametrize(
    ("words", "errors"),
    [
        (
            ("--backend=hf", "--what=loss,tasks", "--ngpu=2"),
            (
                "--what loss: --backend hf answers tasks alone; measure the rest without it",
                "--backend hf answers tasks alone, and needs their names: --tasks hellaswag,arc_easy",
                "--ngpu 2: --backend hf is one process; leave it out, or give 0 for the CPU",
            ),
        ),
        (
            ("--backend=megatron_lm", "--tasks=a", "--skip-lm-eval", "--ngpu=0"),
            (
                "--skip-lm-eval: --backend megatron_lm answers tasks alone; leave one of them out",
                "--ngpu 0: --backend megatron_lm computes on GPUs alone; give their number",
            ),
        ),
    ],
)
def test_options_that_contradict_a_backend(kept: Kept, words: tuple[str, ...], errors: tuple[str, ...]) -> None:
    assert set(errors) <= set(kept("ckpt", *words).errors)


def test_bytes_are_no_tokenizer_for_hf(kept: Kept) -> None:
    refused = kept("ckpt", *TASKS, "--backend=hf", "PR=fp8", tokenizer=False)
    assert refused.code == 2
    assert refused.errors == [
        BYTES,
        "command line: PR=fp8: --backend hf computes in bf16 or fp32; set one of them",
        "--backend hf needs a Hugging Face tokenizer, and this model reads bytes; give its folder with"
        " TOKENIZER_MODEL, or leave --backend out",
    ]
