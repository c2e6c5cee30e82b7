"""Bad input: one clear message each, exit code 2, no traceback."""

from pathlib import Path

import pytest
from cli_command import moe_harness

TEMPLATE = ("--on", "slurm", "CLUSTER=template", "OUTPUT_PATH=/out")
RUNTIME = "runtime_configs/benchmarking/runtime.conf"
LONG = "x" * 5000
MODELS = (
    *("DeepSeek-V2", "DeepSeek-V2-Lite", "DeepSeek-V3", "Kimi-K2", "Mixtral-8x22B", "Mixtral-8x2B", "Mixtral-8x7B"),
    *("Moonlight-16B-A3B", "Qwen2-57B-A14B", "Qwen3-235B-A22B", "Qwen3-30B-A3B"),
)
CASES = {
    "unknown model": (
        ("check", "MODEL=DeepSeekV3"),
        ["MODEL=DeepSeekV3: no such model; did you mean DeepSeek-V3 or DeepSeek-V2 or DeepSeek-V2-Lite?"],
    ),
    "no model": (
        ("check",),
        [f"MODEL is not set; set MODEL=NAME, one of: {', '.join(MODELS)}"],
    ),
    "a misspelt MODEL": (
        ("check", "MODLE=DeepSeek-V3"),
        [
            "command line: unknown setting MODLE; did you mean MODEL or NNODES or WANDB_MODE?",
            f"MODEL is not set; set MODEL=NAME, one of: {', '.join(MODELS)}",
        ],
    ),
    "unknown setting": (
        ("check", "MODEL=DeepSeek-V3", "GPU_PER_NODE=4"),
        ["command line: unknown setting GPU_PER_NODE; did you mean GPUS_PER_NODE?"],
    ),
    "names in other capitals": (
        ("check", "MODEL=deepseek-v3-base", "Acount=mine"),
        [
            "command line: unknown setting Acount; did you mean ACCOUNT or COMMENT or PP_LAYOUT?",
            "MODEL=deepseek-v3-base: no such model; did you mean DeepSeek-V3 or DeepSeek-V2-Lite or DeepSeek-V2?",
        ],
    ),
    "files that are missing, and words that are wrong whatever they say": (
        ("check", "MODEL=DeepSeekV3", "CLUSTER=labtop", "EPP=3", "TP=two", "NCCL_DEBUG=INFO"),
        [
            "command line: unknown setting EPP; did you mean PP or EP or VPP?",
            "command line: TP='two' is not allowed; allowed here: a whole number from 1 to 100000000",
            "MODEL=DeepSeekV3: no such model; did you mean DeepSeek-V3 or DeepSeek-V2 or DeepSeek-V2-Lite?",
            "CLUSTER=labtop: no such cluster; did you mean laptop?",
        ],
    ),
    "unknown settings and wrong values at once": (
        ("check", "MODEL=DeepSeek-V3", "EPP=3", "TP=two", "RUN_TIME=0"),
        [
            "command line: unknown setting EPP; did you mean PP or EP or VPP?",
            "command line: TP='two' is not allowed; allowed here: a whole number from 1 to 100000000",
            "command line: RUN_TIME='0' is not allowed; allowed here: a time above zero such as 00:20:00"
            " (hours:minutes:seconds) or 1-12:00:00",
        ],
    ),
    "no time at all": (
        ("launch", "--on", "slurm", "--dry-run", "MODEL=DeepSeek-V3", "RUN_TIME=00:00:00"),
        [
            "command line: RUN_TIME='00:00:00' is not allowed; allowed here: a time above zero such as 00:20:00"
            " (hours:minutes:seconds) or 1-12:00:00"
        ],
    ),
    "unknown flag": (
        ("check", "MODEL=DeepSeek-V3", "--", "--num-expert", "8"),
        ["extra flags: unknown flag --num-expert; did you mean --num-experts or --num-layers or --num-workers?"],
    ),
    "flag of another release": (
        ("check", "MODEL=Mixtral-8x7B", "MCORE_RELEASE_VERSION=0.12", "--", "--pipeline-model-parallel-layout", "E|L"),
        [
            "extra flags: --pipeline-model-parallel-layout: Megatron 0.12.3 does not have it, 0.13 to 0.19 has; "
            "leave it out or change MCORE_RELEASE_VERSION"
        ],
    ),
    "unknown release": (
        ("check", "MODEL=DeepSeek-V3", "MCORE_RELEASE_VERSION=1.0"),
        [
            "command line: MCORE_RELEASE_VERSION: Megatron release '1.0': there is no catalogue of its options; "
            "known: 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17, 0.18, 0.19"
        ],
    ),
    "a word that is no setting": (
        ("check", "MODEL=DeepSeek-V3", "fast", "=3"),
        [
            "command line: 'fast' is not KEY=VALUE; Megatron's flags go after --",
            "command line: '=3' is not KEY=VALUE; Megatron's flags go after --",
        ],
    ),
    "TP=two": (
        ("check", "MODEL=DeepSeek-V3", "TP=two", "PR=bf17"),
        [
            "command line: TP='two' is not allowed; allowed here: a whole number from 1 to 100000000",
            "command line: PR='bf17' is not allowed; allowed here: bf16 | fp8 | mxfp8 | fp32",
        ],
    ),
    "EP that does not divide the experts": (
        ("check", *TEMPLATE, "MODEL=DeepSeek-V3", "EP=48"),
        [
            "command line: EP=48 does not divide --num-experts 256; allowed here: 1, 2, 4, 8, 16, 32, 64; "
            "fix: EP=32 or EP=64"
        ],
    ),
    "a flag after -- that displaces its setting": (
        ("check", *TEMPLATE, "MODEL=DeepSeek-V3", "EP=32", "--", "--expert-model-parallel-size", "48"),
        [
            "extra flags: EP=48 does not divide --num-experts 256; allowed here: 1, 2, 4, 8, 16, 32, 64; "
            "fix: EP=32 or EP=64"
        ],
    ),
    "a world size that no mapping fits": (
        ("check", *TEMPLATE, "MODEL=Mixtral-8x7B", "NNODES=3"),
        [
            "command line: 24 GPUs are no multiple of ETP·EP·PP = 1·8·4 = 32; allowed with this mapping: multiples of "
            "32; fix: NNODES=4 with 8 GPUs a node, or change the mapping",
            f"{RUNTIME}:27: GBS=256 is no multiple of MBS·DP = 1·6 = 6; fix: GBS=252 or GBS=258",
        ],
    ),
    "GBS not divisible": (
        ("check", *TEMPLATE, "MODEL=Mixtral-8x7B", "GBS=250"),
        ["command line: GBS=250 is no multiple of MBS·DP = 1·16 = 16; fix: GBS=240 or GBS=256"],
    ),
    "interleaving without enough micro-batches": (
        ("check", *TEMPLATE, "MODEL=Mixtral-8x7B", "GBS=32"),
        [
            "command line: VPP=8 with 2 micro-batches (GBS=32 over MBS·DP = 16); allowed: multiples of 4; fix: GBS=64, "
            "or VPP=1"
        ],
    ),
    "PP_FIRST and PP_LAST that cannot be": (
        ("check", *TEMPLATE, "MODEL=DeepSeek-V3", "PP_FIRST=40", "PP_LAST=30"),
        [
            "command line: PP_FIRST=40 and PP_LAST=30 of 61 layers leave -9 layers for 14 stages between (PP=16); fix: "
            "let them leave layers exactly where stages are left"
        ],
    ),
    "data that is not there": (
        ("check", "MODEL=Mixtral-8x7B", "DATASET=mine", "DATA_PATH=/nowhere/text_document", "TOKENIZER_MODEL=x/y"),
        [
            "command line: DATA_PATH: /nowhere/text_document.bin does not exist; correct the path or create it",
            "command line: DATA_PATH: /nowhere/text_document.idx does not exist; correct the path or create it",
        ],
    ),
    "a data set without a path": (
        ("check", "MODEL=Mixtral-8x7B", "DATASET=Slimpajama"),
        [
            "DATASET=Slimpajama (command line) has no DATA_PATH; add `Slimpajama = PREFIX` to [DATA_PATH] of the "
            "cluster conf, set DATA_PATH=PREFIX, or DATASET=mock",
            "TOKENIZER_MODEL is not set; give a tokenizer's folder, or set DATASET=mock",
        ],
    ),
    "a checkpoint that is not there": (
        ("check", "MODEL=Mixtral-8x7B", "LOAD_PATH=/nowhere"),
        [
            "command line: LOAD_PATH: /nowhere/latest_checkpointed_iteration.txt does not exist; correct the path or "
            "create it"
        ],
    ),
    "no checkpoint": (
        ("check", "MODEL=Mixtral-8x7B", "PRETRAIN=0"),
        [
            "PRETRAIN=0 (command line) starts from a checkpoint, but LOAD_PATH is not set; set LOAD_PATH=DIR, or "
            "PRETRAIN=1 to start from scratch"
        ],
    ),
    "a cluster that is not there": (
        ("check", "MODEL=Mixtral-8x7B", "CLUSTER=labtop"),
        ["CLUSTER=labtop: no such cluster; did you mean laptop?"],
    ),
    "a setting given twice": (
        ("check", "MODEL=Mixtral-8x7B", "EP=8", "EP=16"),
        ["command line: EP is given twice: EP=8 and EP=16; keep one of them"],
    ),
    "a model that is a path": (
        ("check", "MODEL=./my.yaml"),
        ["MODEL=./my.yaml: a model is a name; give a YAML of your own as TRAINING_PARAMS_PATH=./my.yaml"],
    ),
    "a path that is none": (
        ("check", "MODEL=Mixtral-8x7B", "CLUSTER=/dev/null"),
        ["CLUSTER=/dev/null: is not a file; give the path of a file"],
    ),
    "a name that no file can have": (
        ("check", f"MODEL={LONG}"),
        [f"MODEL={LONG}: no such model; known: {', '.join(MODELS)}"],
    ),
    "a newline in a value": (
        ("check", "MODEL=Mixtral-8x7B", "COMMENT=a\nb"),
        ["command line: COMMENT='a\\nb' is not allowed; allowed here: text on one line"],
    ),
    "a secret on the command line": (
        ("check", "MODEL=Mixtral-8x7B", "WANDB_API_KEY=0123456789"),
        ["command line: WANDB_API_KEY is a secret, and others can read a command line; export WANDB_API_KEY instead"],
    ),
    "a name that explain does not know": (
        ("explain", "--num-expert", "MODEL=Mixtral-8x7B"),
        ["unknown name --num-expert; did you mean --num-experts or --num-layers or --num-workers?"],
    ),
    "a precision the engine does not have": (
        ("check", "MODEL=Mixtral-8x7B", "PR=fp8"),
        [
            "command line: fp8 (e4m3) needs Transformer Engine, and --transformer-impl is local; fix: PR=bf16 or "
            "PR=fp32, or set MEGATRON_PATH and run where Transformer Engine is"
        ],
    ),
    "a release the engine does not run": (
        ("check", "MODEL=Mixtral-8x7B", "MCORE_RELEASE_VERSION=0.16"),
        [
            "command line: the embedded engine is Megatron-Core 0.19, not 0.16; fix: MCORE_RELEASE_VERSION=0.19, or "
            "set MEGATRON_PATH to a checkout of 0.16"
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_message(case: str, tmp_path: Path) -> None:
    words, expected = CASES[case]
    answer = moe_harness(*words, here=tmp_path)
    assert answer.errors == expected
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert not list(tmp_path.iterdir())
