"""The commands of lm-eval's own models are ones that lm-eval understands; what its models refuse is refused before."""

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import pytest
from lm_eval._cli.harness import HarnessCLI

from harness.config.megatron_args import MegatronArgs
from harness.errors import ConfigError
from harness.evaluation.lm_eval_command import MegatronLmLaunch, hf_command, megatron_lm_command
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


def test_hf_command() -> None:
    """Model, device and tasks."""
    command = hf_command("/hf folder", OPTIONS, output="out", seed=7, device="cuda", dtype="bfloat16")
    found = parsed(command.argv)
    assert (found.model, found.model_args) == ("hf", {"pretrained": "/hf folder", "dtype": "bfloat16"})
    assert (found.tasks, found.num_fewshot, found.limit, found.batch_size) == (["arc_easy", "mmlu"], 0, 10.0, "4")
    assert (found.device, found.seed, found.output_path) == ("cuda", [7, 7, 7, 7], "out")
    assert found.apply_chat_template is True
    assert not command.notices


@pytest.mark.parametrize(("device", "batch", "notices"), [("cuda", "auto", 0), ("cpu", "1", 1)])
def test_auto_batches_of_hf(device: str, batch: str, notices: int) -> None:
    """On a CPU its search for the largest batch would take longer than the tasks."""
    command = hf_command("/hf", TaskOptions(tasks=("a",)), output="out", seed=1, device=device, dtype="float32")
    assert parsed(command.argv).batch_size == batch
    assert len(command.notices) == notices


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
