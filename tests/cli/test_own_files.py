"""Mistakes in the user's own files, and hostile values: named by file and line, or carried as written."""

import os
import subprocess
from pathlib import Path

import pytest
from cli_command import moe_harness
from small_disk import small_disk

GOOD = "[cluster]\nDATASET = mock\nPRETRAIN = 1\n"
CONF = "cluster_configs/benchmarking/mine.conf"
YAML = "model_configs/benchmarking/Mine.yaml"


def write(here: Path, name: str, text: str) -> Path:
    path = here / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ("[cluster]\nTP = 1\nTP = 2\n", f"{CONF}:3: TP is written twice in [cluster]; keep one of them"),
        ("[cluster]\n[cluster]\n", f"{CONF}:2: section [cluster] stands twice; join them"),
        ("TP = 1\n", f"{CONF}:1: a line before the first [section]: 'TP = 1'"),
        ("[cluster]\nTP\n", f"{CONF}:2: expected KEY = VALUE or [section], found 'TP\\n'"),
        ("[clusters]\nTP = 1\n", f"{CONF}:1: unknown section [clusters]; did you mean cluster?"),
        (
            "[cluster]\nMODEL = DeepSeek-V3\n",
            f"{CONF}:2: MODEL decides which files are read; give it on the command line or export it",
        ),
        (
            "[cluster]\n[LOAD_PATH]\nDeepSeekV3 = /x\n",
            f"{CONF}:3: [LOAD_PATH] DeepSeekV3: no such model; did you mean DeepSeek-V3 or DeepSeek-V2 or "
            "DeepSeek-V2-Lite?",
        ),
        ("[cluster]\nTQ = 1\n", f"{CONF}:2: unknown setting TQ; did you mean TP?"),
        ("[cluster]\nTP = 0\n", f"{CONF}:2: TP='0' is not allowed; allowed here: a whole number from 1 to 100000000"),
        (
            "[cluster]\nRUN_TIME = soon\n",
            f"{CONF}:2: RUN_TIME='soon' is not allowed; allowed here: a time above zero such as 00:20:00 "
            "(hours:minutes:seconds) or 1-12:00:00",
        ),
        ("[megatron]\n--num-experts = many\n", f"{CONF}:2: --num-experts takes a whole number; found 'many'"),
        ("[cluster]\nRUN_NAME = ${NOPE}\n", f"{CONF}:2: RUN_NAME: ${{NOPE}} has no value; set NOPE"),
    ],
)
def test_conf(tmp_path: Path, conf: str, message: str) -> None:
    write(tmp_path, CONF, conf)
    answer = moe_harness("resolve", "MODEL=Mixtral-8x2B", "CLUSTER=mine", "DATASET=mock", "PRETRAIN=1", here=tmp_path)
    assert (answer.code, answer.errors) == (2, [message])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "MODEL_ARGS:\n  --swiglu: true\n  --swiglu: true\n",
            "3: --swiglu is written twice (first on line 2); keep one of them",
        ),
        ("MODEL_ARG:\n  --swiglu: true\n", "1: section 'MODEL_ARG'; a model YAML has SETTINGS, ENV_VARS, MODEL_ARGS"),
        (
            "MODEL_ARGS:\n  swiglu: true\n",
            "2: 'swiglu' in MODEL_ARGS; Megatron's flags start with --, settings go to SETTINGS",
        ),
        (
            "MODEL_ARGS:\n  --data-path: [[a, b]]\n",
            "2: --data-path has nested values; write one value, or a list of values",
        ),
        (
            "MODEL_ARGS:\n  --swigluu: false\n",
            "2: unknown flag --swigluu; did you mean --swiglu or --no-bias-swiglu-fusion or --quick-geglu?",
        ),
        ("MODEL_ARGS: [1]\n", "1: expected `key: value` lines"),
        ("MODEL_ARGS:\n  --lr: {a: 1}\n", "2: --lr has nested values; write one value, or a list of values"),
        (
            "MODEL_ARGS:\n  --swiglu: 'maybe'\n",
            "2: --swiglu takes no value; found 'maybe': write true, or false to leave it out",
        ),
    ],
)
def test_model_yaml(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, YAML, text)
    answer = moe_harness("resolve", "MODEL=Mine", "NUM_LAYERS=2", "DATASET=mock", here=tmp_path)
    assert answer.code == 2
    assert f"{YAML}:{message}" in answer.errors
    assert "Traceback" not in answer.err


def test_a_file_that_is_not_yaml(tmp_path: Path) -> None:
    write(tmp_path, YAML, "MODEL_ARGS:\n  - [\n")
    answer = moe_harness("resolve", "MODEL=Mine", here=tmp_path)
    assert answer.code == 2
    assert answer.errors[0].startswith(f"{YAML}:3: not valid YAML: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_conf_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, CONF, GOOD).chmod(0)
    answer = moe_harness("resolve", "MODEL=Mixtral-8x2B", "CLUSTER=mine", here=tmp_path)
    assert (answer.code, len(answer.errors)) == (2, 1)
    assert "cannot be read" in answer.err


def test_a_conf_that_is_not_text(tmp_path: Path) -> None:
    (write(tmp_path, CONF, "")).write_bytes(b"[cluster]\nTP = \xff\n")
    answer = moe_harness("resolve", "MODEL=Mixtral-8x2B", "CLUSTER=mine", here=tmp_path)
    assert answer.code == 2
    assert answer.errors[0].startswith(f"{CONF}: cannot be read: ")


def test_output_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    answer = moe_harness("launch", "MODEL=Mixtral-8x2B", "DATASET=mock", here=tmp_path)
    assert answer.code == 2
    assert answer.errors == [
        f"OUTPUT_PATH={tmp_path}/runs: it is a file, not a folder; move it away, or set OUTPUT_PATH to another folder"
    ]


def test_output_path_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path, "64k") as disk:
        (disk / "ballast").write_bytes(b"x" * 64 * 1024)
        words = ("launch", "MODEL=Mixtral-8x2B", "DATASET=mock", f"OUTPUT_PATH={disk}/runs")
        answer = moe_harness(*words, here=tmp_path)
        assert answer.code == 2
        assert "the disk is full; free space there, or set OUTPUT_PATH to another folder" in answer.errors[0]
        assert [path.name for path in disk.rglob("*") if path.is_file()] == ["ballast"]


@pytest.mark.parametrize(
    "value", ["a b", "'q' \"d\"", "$(touch pwned)", "`touch pwned`", "${HOME}", "a;touch pwned", "*"]
)
def test_hostile_values_reach_the_job_as_they_were_written(tmp_path: Path, value: str) -> None:
    """The script that would be submitted is run by bash with a `srun` that prints what each rank would get."""
    words = ("launch", "--on", "slurm", "--dry-run", "MODEL=Mixtral-8x2B", f"OUTPUT_PATH={tmp_path}")
    script = moe_harness(*words, "WANDB_MODE=offline", f"COMMENT={value}", "--", "--wandb-entity", value, here=tmp_path)
    assert script.code == 0
    (tmp_path / "bin").mkdir()
    # The last words of srun's own command line are what a rank gets: from the program's name on.
    for name, body in {"srun": 'printf "%s\\0" "$@"', "scontrol": "echo node1"}.items():
        stub = tmp_path / "bin" / name
        stub.write_text(f"#!/bin/bash\n{body}\n")
        stub.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "RUN_DIR": str(tmp_path / "run")}
    environ |= {"SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "node1", "SLURM_JOB_NUM_NODES": "8"}
    (tmp_path / "run").mkdir()
    text = script.out.replace("[ -r", "true [ -r")  # the image is on no machine of ours
    done = subprocess.run(["bash", "-c", text], cwd=tmp_path, env=environ, capture_output=True, text=True)
    ranks = done.stdout.split("\0")
    assert ranks[ranks.index("--wandb-entity") + 1] == value
    assert ranks[ranks.index("--wandb-exp-name") + 1].endswith(f"-{value}")
    assert not list(tmp_path.rglob("pwned"))
