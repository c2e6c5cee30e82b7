"""The command line of lm-eval's own `megatron_lm`, for cross-checks."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.config.megatron_args import MegatronArgs
from harness.errors import ConfigError
from harness.evaluation.spec import TaskOptions
from harness.launch.script.lines import array

# What lm-eval's megatron_lm writes on Megatron's command line itself.
_ITS_OWN_FLAGS = (
    *("--load", "--ckpt-step", "--seq-length", "--micro-batch-size", "--bf16", "--fp16"),
    *("--tensor-model-parallel-size", "--pipeline-model-parallel-size", "--expert-model-parallel-size"),
    *("--tokenizer-type", "--tokenizer-model", "--vocab-file", "--merge-file"),
    *("--use-checkpoint-args", "--no-load-optim", "--no-load-rng", "--exit-on-missing-checkpoint"),
    *("--use-dist-ckpt", "--auto-detect-ckpt-format"),
)


@dataclass(frozen=True, kw_only=True)
class LmEvalCommand:
    """An `argv`, what has to be in its environment, and `notices` of what it does otherwise than our own model."""

    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MegatronLmLaunch:
    """What lm-eval's `megatron_lm` loads, and on how many `devices`: the folder that holds `iter_NNNNNNN`, its step.

    `flags` make the network; `tokenizer` is a Hugging Face folder. `megatron_path` holds the package `megatron`.
    """

    folder: str
    step: int | None
    flags: MegatronArgs
    tokenizer: str | None
    seq_len: int
    micro_batch_size: int
    devices: int
    tp: int
    pp: int
    ep: int
    megatron_path: str


def megatron_lm_command(launch: MegatronLmLaunch, options: TaskOptions, *, output: str, seed: int) -> LmEvalCommand:
    """lm-eval's `megatron_lm` under torchrun on this node; ConfigError names all that it cannot carry out."""
    if problems := launch_problems(launch):
        raise ConfigError(problems)
    extra = MegatronArgs({flag: value for flag, value in launch.flags.items() if flag not in _ITS_OWN_FLAGS})
    arguments = {
        "load": launch.folder,
        **({} if launch.step is None else {"ckpt_step": launch.step}),
        "tokenizer_type": "HuggingFaceTokenizer",
        "tokenizer_model": launch.tokenizer,
        "devices": launch.devices,
        "tensor_model_parallel_size": launch.tp,
        "expert_model_parallel_size": launch.ep,
        "seq_length": launch.seq_len,
        "micro_batch_size": launch.micro_batch_size,
        "extra_args": shlex.join(extra.argv()),
    }
    argv = (
        *("python", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(launch.devices)),
        *("-m", "lm_eval", "run", "--model", "megatron_lm", "--model_args", json.dumps(arguments)),
        *_task_arguments(options, output, seed),
    )
    environ = {"MEGATRON_PATH": launch.megatron_path}
    return LmEvalCommand(argv=argv, environ=environ, notices=tuple(_differences(launch, options)))


def script_of(commands: Sequence[LmEvalCommand]) -> str:
    """A script that runs the commands one after the other."""
    lines = ["#!/bin/bash", "# lm-eval's own megatron_lm, rendered by `moe-harness eval --backend megatron_lm`."]
    lines += ["", "set -euo pipefail", ""]
    environ = {name: value for command in commands for name, value in command.environ.items()}
    lines += [f"export {name}={shlex.quote(value)}" for name, value in environ.items()]
    for command in commands:
        lines += ["", *array("command", command.argv), '"${command[@]}"']
    return "\n".join(lines) + "\n"


def _task_arguments(options: TaskOptions, output: str, seed: int) -> Iterator[str]:
    """What any of lm-eval's models is asked."""
    yield from ("--tasks", ",".join(options.tasks), "--seed", str(seed), "--output_path", output)
    for flag, value in {
        "--num_fewshot": options.num_fewshot,
        "--limit": options.limit,
        "--include_path": options.include_path,
    }.items():
        if value is not None:
            yield from (flag, str(value))
    if options.apply_chat_template:
        yield "--apply_chat_template"
    if options.log_samples:
        yield "--log_samples"


def launch_problems(launch: MegatronLmLaunch) -> list[str]:
    """All that lm-eval's `megatron_lm` cannot carry out of a launch."""
    return [f"--backend megatron_lm: {problem}" for problem in _not_carried_out(launch)]


def _not_carried_out(launch: MegatronLmLaunch) -> Iterator[str]:
    """The mappings that lm-eval's model refuses, and the tokenizer that it lacks."""
    tp, ep, devices = launch.tp, launch.ep, launch.devices
    if launch.pp > 1:
        yield f"found PP={launch.pp}; allowed: 1"
    if ep > 1 and tp > 1:
        yield f"found TP={tp} with EP={ep}; allowed: one of them"
    elif tp > 1 and tp != devices:
        yield f"found TP={tp} on {devices} devices; allowed: TP = devices, or TP=1 for data parallelism"
    elif ep > 1 and ep != devices:
        yield f"found EP={ep} on {devices} devices; allowed: EP = devices"
    if launch.tokenizer is None:
        yield "it has no byte-level tokenizer; give the folder of a Hugging Face tokenizer"


def _differences(launch: MegatronLmLaunch, options: TaskOptions) -> Iterator[str]:
    """What it does otherwise than our own model."""
    if options.batch_size != launch.micro_batch_size:
        asked = options.batch_size or "auto"
        yield f"megatron_lm ignores --batch-size {asked}: batches have micro_batch_size={launch.micro_batch_size}"
    yield "megatron_lm computes in bf16, whatever the checkpoint is in"
    yield f"megatron_lm scores long texts in windows of {launch.seq_len - 1} tokens, one less than hf and our own model"
    yield "megatron_lm generates without a KV cache"
