"""`moe-harness eval … --backend megatron_lm`: print a script that asks lm-eval's own `megatron_lm`, and run nothing."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from harness.arch.parallel import parallel, world_size
from harness.checkpoint.files import RELEASE
from harness.checkpoint.folder import read_tracker
from harness.checkpoint.network_flags import MTP
from harness.cli import screen
from harness.cli.eval_asked import read_asked
from harness.cli.eval_options import EvalOptions
from harness.config.megatron_args import MegatronArgs
from harness.config.provenance import Resolved
from harness.errors import ConfigError
from harness.evaluation.flags import evaluation_flags
from harness.evaluation.hf_model import hf_max_length
from harness.evaluation.lm_eval_command import MegatronLmLaunch, launch_problems, megatron_lm_command, script_of
from harness.evaluation.spec import EvaluatedCheckpoint, EvaluationSpec
from harness.evaluation.task_names import without_members

_PATH = "MEGATRON_PATH"
_LEAST = (0, 18)
"""The first release whose source lm-eval's model can start."""
_OURS = ("--global-batch-size", "--moe-grouped-gemm", MTP)
"""Flags for the engine's ranks: its micro-batches, its grouped experts, and layers that lm-eval's model lacks."""


def show_launch(ctx: click.Context, names: Sequence[str], typed: Sequence[str], options: EvalOptions) -> int:
    """Print the script on stdout, and what it does otherwise than our own model on stderr.

    ConfigError lists all that lm-eval's model cannot carry out.
    """
    lead = f"{_PATH}="
    path = next((word.removeprefix(lead) for word in typed if word.startswith(lead)), os.environ.get(_PATH, ""))
    words = ["DEVICE=gpu", *(word for word in typed if not word.startswith(lead))]
    resolved, spec, problems = read_asked(ctx, names, words, "local", options)
    launches = [_launch(resolved, spec, checkpoint, path) for checkpoint in spec.checkpoints]
    problems += [*_path_problems(path), *launch_problems(launches[0])]
    if resolved.text("GROUP_SCORE") == "max":
        problems.append(
            "--backend megatron_lm: these weights choose groups of experts by each one's best expert (GROUP_SCORE=max),"
            " which Megatron by itself does not; leave it out, or use --backend hf"
        )
    problems += [problem for checkpoint in spec.checkpoints for problem in _load_problems(checkpoint)]
    if problems:
        raise ConfigError(problems)
    assert spec.tasks is not None
    asked, output = replace(spec.tasks, tasks=without_members(spec.tasks)), f"{spec.output_dir}/megatron_lm"
    commands = [megatron_lm_command(launch, asked, output=output, seed=spec.seed) for launch in launches]
    for notice in commands[0].notices:
        screen.notice(notice)
    click.echo(script_of(commands), nl=False)
    return 0


def _launch(resolved: Resolved, spec: EvaluationSpec, checkpoint: EvaluatedCheckpoint, path: str) -> MegatronLmLaunch:
    devices = world_size(resolved)
    mapping = parallel(resolved.megatron_args, devices)
    flags = evaluation_flags(resolved, spec.seq_len)
    return MegatronLmLaunch(
        folder=str(Path(checkpoint.folder).parent),
        step=checkpoint.step,
        flags=MegatronArgs({flag: value for flag, value in flags.items() if flag not in _OURS}),
        tokenizer=spec.data.tokenizer,
        seq_len=hf_max_length(spec),
        micro_batch_size=spec.batch_size,
        devices=devices,
        tp=mapping.tp,
        pp=mapping.pp,
        ep=mapping.ep,
        megatron_path=path,
    )


def _path_problems(path: str) -> Iterator[str]:
    """Where the source of Megatron is not known, or too old. One that is not seen from here may lie where it runs."""
    if not path:
        yield (
            f"--backend megatron_lm needs the source of Megatron-LM, {'.'.join(map(str, _LEAST))} or newer: give its"
            f" folder with {_PATH}, on the command line or exported"
        )
        return
    try:
        text = (Path(path) / "megatron/core/package_info.py").read_text(encoding="utf-8")
    except OSError:
        screen.notice(f"{_PATH}={path}: no Megatron-LM is to be seen there from here")
        return
    found = [re.search(rf"^{name} = (\d+)", text, re.MULTILINE) for name in ("MAJOR", "MINOR")]
    release = tuple(int(number[1]) for number in found if number)
    if len(release) == len(_LEAST) and release < _LEAST:
        told, least = (".".join(map(str, numbers)) for numbers in (release, _LEAST))
        yield f"{_PATH}={path}: Megatron-Core {told}, and lm-eval's megatron_lm needs {least} or newer; give another"


def _load_problems(checkpoint: EvaluatedCheckpoint) -> Iterator[str]:
    """A folder that Megatron cannot be told to load from the one above it."""
    folder = Path(checkpoint.folder)
    if folder.name == RELEASE and read_tracker(folder.parent) == RELEASE:
        return
    if checkpoint.step is None or folder.name != f"iter_{checkpoint.step:07d}":
        yield (
            f"{folder}: megatron_lm loads folders iter_NNNNNNN, or the folder {RELEASE} where the tracker beside it"
            f" says so; name one of these"
        )
