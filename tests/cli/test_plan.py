"""`moe-harness plan` and `estimate` as a user sees them."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest
from cli_command import moe_harness
from page_markup import page_markup

SMALL = ("MODEL=Qwen3-30B-A3B", "GPU=H100", "GPUS=16")


def test_the_ten_best_and_the_best_as_a_command(tmp_path: Path) -> None:
    answer = moe_harness("plan", *SMALL, here=tmp_path)
    assert (answer.code, answer.err) == (0, "")
    ranks = [line.split()[0] for line in answer.out.splitlines() if line[:1].isdigit()]
    assert ranks == [str(rank) for _ in range(2) for rank in range(1, 11)]
    assert "bounds: TP 1 2 4 8; CP 1; PP 1 2 4 8 16; " in answer.out
    line = next(line for line in answer.out.splitlines() if line.startswith("best: ")).removeprefix("best: ")
    words = shlex.split(line)[1:]
    assert moe_harness("check", *words[1:], here=tmp_path).code == 0


def test_json_says_what_the_tables_say(tmp_path: Path) -> None:
    best = json.loads(moe_harness("plan", *SMALL, "--json", here=tmp_path).out)["best"]
    assert len(best) == 10
    rates = [one["tokens_per_s_per_gpu"] for one in best]
    assert rates == sorted(rates, reverse=True)
    for one in best:
        assert one["step_time_s"] == pytest.approx(sum(one["step_time_parts_s"].values()))
        assert one["peak_memory_bytes"] == max(rank["total"] for rank in one["memory_bytes"]) <= one["hbm_bytes"]
        fullest = max(one["memory_bytes"], key=lambda rank: rank["total"])
        assert fullest["total"] == sum(size for name, size in fullest.items() if name not in ("rank", "total"))


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("TP=1", "TP=1 is the best there is"),
        ("TP=8,PP=2", "TP=8,PP=2: "),
        ("EP=48", "EP=48 cannot run:\ncommand line: EP=48 does not divide --num-experts 128"),
        ("PP=1,EP=1,MBS=8,TP=1", "PP=1,EP=1,MBS=8,TP=1 does not fit: its leanest way to run needs "),
    ],
)
def test_why_a_mapping_ranks_where_it_does(mapping: str, said: str, tmp_path: Path) -> None:
    answer = moe_harness("plan", *SMALL, "--why", mapping, here=tmp_path)
    assert (answer.code, answer.err) == (0, "")
    assert said in answer.out


def test_the_page_is_whole_and_fetches_nothing(tmp_path: Path) -> None:
    assert moe_harness("plan", *SMALL, "--page", "plan.html", here=tmp_path).code == 0
    text = (tmp_path / "plan.html").read_text()
    markup = page_markup(text)
    assert (markup.open, markup.fetched) == ([], ["#main"])
    assert "url(" not in text
    assert "@import" not in text
    assert markup.kinds.count("svg.picture") == 2  # one for a phone
    assert markup.kinds.count("circle.best") == 20
    drawn = re.search(r"([0-9,]+) ways to run were timed; each is a dot", text)
    assert drawn
    dots = text.split('<path class="dots" d="')[1].split('"')[0].count("h0")
    assert dots == int(drawn[1].replace(",", "")) > 60
    best = text.split('id="best"')[1].split("</section>")[0]
    assert best.count("<tr>") == 11
    assert "GPU-hours" in best
    assert "MFU" in best


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    answer = moe_harness("plan", *SMALL, "--page", "nowhere/plan.html", here=tmp_path)
    assert answer.code == 2
    assert answer.errors == [
        "--page nowhere/plan.html: No such file or directory; name a file in a folder that you may write"
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["GPU=H1000"], "command line: GPU=H1000: no such GPU; did you mean H100 or "),
        (["GPU=H100", "GPUS=1021"], "GPUS=1021 (command line) fills no whole nodes of GPUS_PER_NODE=8"),
        (["GPU=H100", "GPUS=64"], "fits: the nearest numbers of GPUs that fit: "),
        (["GPU=H100", "GPUS=1000"], "GBS=8192 is no multiple of MBS·DP for any MBS of 1 2 4 8"),
        (["GPU=H100", "PR=mxfp8"], "mxfp8 on H100 (Hopper); allowed: Blackwell, CDNA4; fix: PR=fp8, or PR=bf16"),
        (["GPU=H100", "EP=96"], "command line: EP=96 does not divide --num-experts 256"),
        (["GPU=H100", "PP=7"], "command line: 1024 GPUs are no multiple of TP·CP·PP = 1·1·7 = 7"),
        (["GPU=H100", "PP_FIRST=4"], "command line: PP_FIRST: plan chooses how layers are split; leave it out"),
        (
            ["GPU=H100", "HBM_GB=nan"],
            "command line: HBM_GB='nan' is not allowed; allowed here: a number from 0.001 to 1e+09",
        ),
        (
            ["GPU=H100", "HBM_GB=1e308"],
            "command line: HBM_GB='1e308' is not allowed; allowed here: a number from 0.001",
        ),
        (["GPU=H100", "--why", "EB=3"], "--why 'EB=3' is none of TP=…, CP=…"),
        (["GPU=H100", "--why", "TP=0"], "--why TP='0' is not allowed; allowed here: a whole number from 1"),
        (["GPU=H100", "--why", "TP="], "--why TP=: no value; leave TP out, or give it one"),
        (["GPU=H100", "--why", "TP=8,TP=2"], "--why TP is given twice: TP=8 and TP=2; keep one of them"),
        (["GPU=H100", "--why", "TP=2", "--json"], "--why answers in words, with no JSON and no page"),
        (["GPU=H100", "GPUS=64", "GPUS_PER_NODE=4"], "fits: the nearest numbers of GPUs that fit: "),
        (["GPU=H100", "MBS=3"], "for any MBS of 3; set GBS to a multiple of 3072"),
        ([], "GPU is not set; set GPU=NAME, one of: A100-40GB"),
    ],
)
def test_bad_input_is_said_without_a_traceback(words: list[str], said: str, tmp_path: Path) -> None:
    answer = moe_harness("plan", "MODEL=DeepSeek-V3", *words, here=tmp_path)
    assert answer.code == 2, answer.err
    assert any(said in error for error in answer.errors), answer.err
    assert "Traceback" not in answer.err


@pytest.mark.slow
def test_scale_shows_every_power_of_two(tmp_path: Path) -> None:
    answer = moe_harness("plan", "scale", "MODEL=DeepSeek-V2-Lite", "GPU=H100", "--json", here=tmp_path)
    rows = json.loads(answer.out)
    assert [row["gpus"] for row in rows] == [8 << exponent for exponent in range(12)]
    fitting = [row["best"] for row in rows if row["best"]]
    assert {one["batch"]["global"] for one in fitting} == {512}
    totals = [one["tokens_per_s_per_gpu"] * one["mapping"]["world_size"] for one in fitting]
    assert totals[0] < totals[2] < totals[4]


@pytest.mark.slow
def test_scale_passes_over_numbers_that_a_typed_size_rules_out(tmp_path: Path) -> None:
    answer = moe_harness("plan", "scale", "MODEL=DeepSeek-V2-Lite", "GPU=H100", "TP=16", "--json", here=tmp_path)
    rows = json.loads(answer.out)
    assert next(row["gpus"] for row in rows if not row["best"]) == 8
    assert {row["best"]["mapping"]["tp"] for row in rows if row["best"]} == {16}
    refused = moe_harness("plan", "scale", "MODEL=DeepSeek-V2-Lite", "GPU=H100", "EP=96", here=tmp_path)
    assert (refused.code, "EP=96 does not divide --num-experts 64" in refused.err) == (2, True)


def test_estimate_stands_beside_what_was_published(tmp_path: Path) -> None:
    words = ("MODEL=DeepSeek-V3", "GPU=H100", "TP=2", "PP=8", "VPP=4", "EP=64", "NNODES=128", "GBS=8192", "PR=fp8")
    answer = moe_harness("estimate", *words, here=tmp_path)
    assert answer.code == 0, answer.err
    for said in (
        "fullest",
        "EP communication",
        "TFLOP/s/GPU",
        "MFU",
        "HFU (hardware FLOPs)",
        "341 at most (RUN_TIME=00:20:00)",
    ):
        assert said in answer.out
    assert "published: 368 TFLOP/s/GPU" in answer.out
    data = json.loads(moe_harness("estimate", *words, "--json", here=tmp_path).out)
    assert data["published"][0]["tflops_per_gpu"] == 368
    assert data["mapping"]["tp"] == 2
    assert data["utilisation"]["megatron"] == pytest.approx(data["mfu"])
    assert data["flops_per_token"]["model"] < data["flops_per_token"]["hardware"]
    assert data["gpu_hours"] == pytest.approx(1024 / 3)


def test_estimate_of_what_cannot_run_is_refused_with_its_place(tmp_path: Path) -> None:
    answer = moe_harness("estimate", "MODEL=DeepSeek-V3", "GPU=H100", "EP=96", "GBS=8190", here=tmp_path)
    assert answer.code == 2
    assert [error.split(" ")[2] for error in answer.errors] == ["EP=96", "GBS=8190"]


def test_resolve_tells_what_launch_would_refuse(tmp_path: Path) -> None:
    asked = ("resolve", "MODEL=DeepSeek-V3", "EP=96", "GBS=8190", "NNODES=128")
    answer = moe_harness(*asked, here=tmp_path)
    assert answer.code == 0
    told = [line for line in answer.err.splitlines() if line.startswith("notice: launch would be refused: ")]
    assert [line.split(" ")[7] for line in told] == ["EP=96", "GBS=8190"]
    assert len(json.loads(moe_harness(*asked, "--json", here=tmp_path).out)["refused"]) == 2


def test_a_slurm_job_is_told_its_gpu_hours_on_any_gpu(tmp_path: Path) -> None:
    answer = moe_harness("check", "MODEL=DeepSeek-V3", "NNODES=128", "RUN_TIME=01:00:00", here=tmp_path)
    assert answer.out.splitlines()[-1] == "at most 1,024 GPU-hours (RUN_TIME=01:00:00)"
    assert "GPU-hours" not in moe_harness("check", "MODEL=DeepSeek-V3", here=tmp_path).out


def test_check_weighs_memory_against_the_gpu(tmp_path: Path) -> None:
    asked = ("check", "MODEL=DeepSeek-V3", "GPU=H100", "NNODES=128")
    refused = moe_harness(*asked, here=tmp_path)
    assert refused.code == 2
    assert len(refused.errors) == 1
    assert "and H100 has 80.00 GiB" in refused.errors[0]
    forced = moe_harness(*asked, "--force", here=tmp_path)
    assert forced.code == 0
    assert "DeepSeek-V3 can run on 1024 ranks (128 x 8)\npredicted: " in forced.out
    assert "at most 341 GPU-hours (RUN_TIME=00:20:00)" in forced.out
    roomy = moe_harness(*asked, "HBM_GB=300", here=tmp_path)
    assert (roomy.code, "predicted memory" in roomy.err) == (0, False)


def test_memory_within_the_error_band_is_a_notice(tmp_path: Path) -> None:
    words = ("MODEL=DeepSeek-V2-Lite", "GPU=H100", "GPUS=16")
    needed = json.loads(moe_harness("estimate", *words, "--json", here=tmp_path).out)["peak_memory_bytes"]
    answer = moe_harness("check", *words, "--on", "slurm", f"HBM_GB={needed / 2**30:.3f}", here=tmp_path)
    assert answer.code == 0, answer.err
    assert "it may just not fit" in answer.err


def test_several_nodes_mean_a_cluster(tmp_path: Path) -> None:
    asked = ("MODEL=DeepSeek-V3", "TP=2", "PP=8", "EP=96", "GBS=8190", "NNODES=128")
    answer = moe_harness("check", *asked, here=tmp_path)
    assert answer.code == 2
    assert [error.split(" ")[2] for error in answer.errors] == ["EP=96", "GBS=8190"]
    said = moe_harness("check", "MODEL=DeepSeek-V3", "NNODES=128", "CLUSTER=laptop", here=tmp_path)
    assert "NNODES=128, but --on local is one node" in said.err


def test_a_launched_run_keeps_what_was_predicted(tmp_path: Path) -> None:
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text("#!/bin/bash\necho 4711\n")
    sbatch.chmod(0o755)
    environ = {"PATH": f"{sbatch.parent}:{os.environ['PATH']}"}
    words = ("MODEL=Qwen3-30B-A3B", "GPU=GB300", "GPUS=32", "DATASET=mock", "TOKENIZER_MODEL=")
    launched = moe_harness("launch", "--on", "slurm", *words, here=tmp_path, environ=environ)
    assert launched.code == 0, launched.err
    assert "notice: predicted: " in launched.err
    (record,) = (tmp_path / "runs").glob("*/record.json")
    predicted = json.loads(record.read_text())["result"]["predicted"]
    estimated = json.loads(moe_harness("estimate", *words, "--json", here=tmp_path).out)
    assert predicted == {
        name: pytest.approx(estimated[name])
        for name in ("step_time_s", "tflops_per_gpu", "tokens_per_s_per_gpu", "peak_memory_bytes")
    }
    shown = moe_harness("runs", "show", record.parent.name, here=tmp_path).out
    assert "predicted  " in shown
