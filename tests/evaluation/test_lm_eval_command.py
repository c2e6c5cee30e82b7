"""The commands of lm-eval's megatron_lm are ones that lm-eval understands; what it refuses is refused before."""

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from lm_eval._cli.harness import HarnessCLI

from harness.config.megatron_args import MegatronArgs
from harness.errors import ConfigError
from harness.evaluation.lm_eval_command import MegatronLmLaunch, megatron_lm_command, script_of
from harness.evaluation.spec import TaskOptions

OPTIONS = TaskOptions(tasks=("arc_easy", "mmlu"), num_fewshot=0, limit=10.0, batch_size=4, apply_chat_template=True)
FLAGS = MegatronArgs(
    {"--num-layers": "4", "--moe-layer-freq": "[0,1,1,1]", "--swiglu": True, "--seq-length": "4096", "--bf16": True}
)


def launch(**changes: Any) -> MegatronLmLaunch:
    """A launch on two devices, but for `changes`."""
    values: dict[str, Any] = {
        "folder": "/ckpt",
        "step": 50,
        "flags": FLAGS,
        "tokenizer": "/tok",
        "seq_len": 64,
        "micro_batch_size": 2,
        "devices": 2,
        "tp": 1,
        "pp": 1,
        "ep": 2,
        "megatron_path": "/megatron",
        **changes,
    }
    return MegatronLmLaunch(**values)


def parsed(argv: Sequence[str]) -> Namespace:
    """What lm-eval's own parser makes of its part of a command line."""
    parser: Any = HarnessCLI()
    arguments: Namespace = parser._parser.parse_args(list(argv[argv.index("lm_eval") + 1 :]))
    return arguments


def test_megatron_lm_command() -> None:
    """Under torchrun; flags that it writes itself are not written twice."""
    command = megatron_lm_command(launch(), OPTIONS, output="out", seed=7)
    assert command.argv[:6] == ("python", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert command.environ == {"MEGATRON_PATH": "/megatron"}
    arguments = parsed(command.argv).model_args
    assert arguments["extra_args"] == "--num-layers 4 --moe-layer-freq '[0,1,1,1]' --swiglu"
    assert (arguments["load"], arguments["ckpt_step"]) == ("/ckpt", 50)
    assert (arguments["devices"], arguments["expert_model_parallel_size"]) == (2, 2)
    assert command.notices == (
        "megatron_lm ignores --batch-size 4: batches have micro_batch_size=2",
        "megatron_lm computes in bf16, whatever the checkpoint is in",
        "megatron_lm scores long texts in windows of 63 tokens, one less than hf and our own model",
        "megatron_lm generates without a KV cache",
    )


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"pp": 2, "tp": 2, "ep": 2}, ("found PP=2; allowed: 1", "found TP=2 with EP=2; allowed: one of them")),
        (
            {"tp": 2, "ep": 1, "devices": 4},
            ("found TP=2 on 4 devices; allowed: TP = devices, or TP=1 for data parallelism",),
        ),
        (
            {"devices": 4, "tokenizer": None},
            (
                "found EP=2 on 4 devices; allowed: EP = devices",
                "it has no byte-level tokenizer; give the folder of a Hugging Face tokenizer",
            ),
        ),
    ],
)
def test_what_megatron_lm_refuses(changes: dict[str, Any], problems: tuple[str, ...]) -> None:
    """All of it at once."""
    with pytest.raises(ConfigError) as raised:
        megatron_lm_command(launch(**changes), OPTIONS, output="out", seed=7)
    assert raised.value.problems == tuple(f"--backend megatron_lm: {problem}" for problem in problems)


def test_a_script_that_can_be_run(tmp_path: Path) -> None:
    """Words arrive as they are in a command for each step; neither Bash nor shellcheck has anything against it."""
    steps = (50, 100)
    commands = [megatron_lm_command(launch(step=step), OPTIONS, output="it's out", seed=7) for step in steps]
    script = script_of(commands)
    shellcheck = [str(Path(sys.executable).with_name("shellcheck")), "-e", "SC2054", "-"]  # commas within words
    assert subprocess.run(shellcheck, input=script, capture_output=True, text=True).stdout == ""
    (tmp_path / "python").write_text('#!/bin/bash\nprintf "%s\\0" "$MEGATRON_PATH" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, env={"PATH": path})
    said = ["/megatron", *commands[0].argv[1:], "/megatron", *commands[1].argv[1:], ""]
    assert (done.returncode, done.stderr, done.stdout.split("\0")) == (0, "", said)
