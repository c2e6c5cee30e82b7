"""Check that a converted checkpoint computes what its source computes: Megatron's logits beside transformers'."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ckpt_convert.conversion import model_of, open_folder
from ckpt_convert.families.model import Model
from ckpt_convert.hf.folder import HuggingFaceFolder
from ckpt_convert.tensors import Dtype
from harness.checkpoint.lone_weights import tracked_alone
from harness.config.rules.engine import NO_FUSED_KERNELS, NO_JIT_KERNELS
from harness.errors import ConfigError, EnvironmentProblem
from harness.units import show_bytes

SEQUENCES, TOKENS = 2, 32
SEED = 1234
TOLERANCE = 1e-4
"""Of the largest logit, in fp32: rounding stays ten times below it, a wrong launch flag ten times above."""
_RUN_FLAGS = (
    *("--transformer-impl", "local", *NO_FUSED_KERNELS),
    *("--global-batch-size", "1", "--train-iters", "1", "--lr", "1e-4", "--eval-iters", "0", "--eval-interval", "1"),
    *("--attention-dropout", "0", "--hidden-dropout", "0"),
)
_CPU_FLAGS = ("--distributed-backend", "gloo", *NO_JIT_KERNELS)


@dataclass(frozen=True, kw_only=True)
class LogitsVerdict:
    """The largest difference of two logits, and the largest logit."""

    difference: float
    largest: float

    @property
    def same(self) -> bool:
        """Whether the difference is only rounding. NaN is never the same."""
        return self.difference <= TOLERANCE * max(1.0, self.largest)


def compare_logits(one: Path, other: Path) -> LogitsVerdict:
    """Run both checkpoints in fp32 on the same random tokens; one is Hugging Face's, the other Megatron's."""
    with open_folder(one) as first, open_folder(other) as second:
        hugging_face, megatron = (first, second) if isinstance(first, HuggingFaceFolder) else (second, first)
        if not isinstance(hugging_face, HuggingFaceFolder) or isinstance(megatron, HuggingFaceFolder):
            raise ConfigError("--logits compares a Hugging Face checkpoint with one of Megatron; give one of each")
        model = model_of(hugging_face)
        _require(hugging_face)
        return _computed(model, hugging_face.folder, megatron.folder)


def _computed(model: Model, hugging_face: Path, megatron: Path) -> LogitsVerdict:
    with tempfile.TemporaryDirectory(prefix="moe-harness-") as folder:
        tokens, expected, found = (Path(folder) / name for name in ("tokens.npy", "expected.npz", "found.npz"))
        vocab_size = model.flags.integer("--vocab-size")
        np.save(tokens, np.random.default_rng(SEED).integers(0, vocab_size, (SEQUENCES, TOKENS)))
        _run("transformers", ["-m", "ckpt_convert.reference", str(hugging_face), str(tokens), str(expected)], {})
        with tracked_alone(megatron) as load:
            _run("Megatron", _megatron_arguments(model, load, tokens, found), _environment(model))
        with np.load(expected) as wanted, np.load(found) as got:
            difference = np.abs(wanted["logits"] - got["logits"]).max()
            return LogitsVerdict(difference=float(difference), largest=float(np.abs(wanted["logits"]).max()))


def _require(folder: HuggingFaceFolder) -> None:
    """Raise an error if this machine cannot run the comparison."""
    missing = [name for name in ("torch", "megatron", "transformers") if find_spec(name) is None]
    if missing:
        raise EnvironmentProblem(
            f"--logits needs {', '.join(missing)}; run tools/setup.sh engine,tokenizers, or leave --logits out"
        )
    if any(info.dtype is Dtype.F8_E4M3 for info in folder.tensors.values()):
        raise ConfigError(
            f"{folder.folder} holds FP8 weights, with which transformers cannot compute; leave --logits out"
        )
    elements = sum(info.size_bytes // info.dtype.itemsize for info in folder.tensors.values())
    needed, free = 4 * elements, _free_bytes()
    if needed > free:
        raise EnvironmentProblem(
            f"--logits computes in fp32 and needs {show_bytes(needed)} of memory; {show_bytes(free)} are free here"
        )


def _free_bytes() -> int:
    """The memory that a process can still allocate."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _megatron_arguments(model: Model, load: Path, tokens: Path, out: Path) -> list[str]:
    """The command line of torchrun and one rank of the embedded engine."""
    on_cpu = not next(Path("/dev").glob("nvidia[0-9]*"), None)
    flags = [*model.flags.argv(), *_RUN_FLAGS, *(_CPU_FLAGS if on_cpu else ()), "--load", str(load)]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
    return [*torchrun, "-m", "harness.engine.forward", str(tokens), str(out), *flags]


def _environment(model: Model) -> Mapping[str, str]:
    """DeepSeek-V2 routes by the best expert of a group, where its engine setting follows it."""
    return {"MOE_HARNESS_GROUP_SCORE": "max"} if model.config.get("topk_method") == "group_limited_greedy" else {}


def _run(name: str, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **environ}, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        message = "\n".join([line for line in lines if line.startswith("engine:")] or lines[-15:])
        raise EnvironmentProblem(f"{name} could not compute the logits (exit code {done.returncode}):\n{message}")
