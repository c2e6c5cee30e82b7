"""`moe-harness runs baseline`, `runs gate` and `runs scaling` as a user calls them."""

import json
from pathlib import Path

import pytest
from cli_command import Answer, moe_harness
from trained_runs import step_times, trained_run


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs, and a baseline of one of them."""
    here = tmp_path_factory.mktemp("here")
    runs = here / "runs"
    trained_run(runs, "base", step_times(1))
    trained_run(runs, "repeat", step_times(2))
    trained_run(runs, "slow", step_times(3, mean_s=1.2))
    trained_run(runs, "short", step_times(4, 5), train_iters="5")
    trained_run(runs, "mixtral", step_times(5), model="Mixtral-8x7B")
    trained_run(runs, "more", step_times(6, mean_s=0.6), gpus=16)
    assert call(here, "baseline", "base", "-o", "baselines/nightly.json").code == 0
    return here


def call(here: Path, *words: str) -> Answer:
    return moe_harness("runs", *words, here=here)


def gate(here: Path, run: str, *words: str) -> Answer:
    return call(here, "gate", run, "--baseline", "nightly", *words)


@pytest.mark.parametrize(
    ("run", "code", "outcome"), [("repeat", 0, "passed"), ("slow", 1, "regressed"), ("short", 3, "inconclusive")]
)
def test_the_exit_code_is_the_verdict(here: Path, run: str, code: int, outcome: str) -> None:
    answer = gate(here, run)
    assert answer.code == code, answer
    assert answer.out.startswith(f"{outcome}: {run} against a baseline of 1 run\n")
    assert "notice: the baseline is one run: how far launches of the same job lie apart is not known" in answer.err


def test_the_verdict_as_json(here: Path) -> None:
    answer = gate(here, "slow", "--json", "--tolerance", "step_s=2.5%,loss=off,memory=off")
    data = json.loads(answer.out)
    assert (data["outcome"], data["exit_code"], data["baseline_runs"]) == ("regressed", 1, ["base"])
    (check,) = data["checks"]
    assert (check["figure"], check["tolerance"]) == ("step_s", 0.025)
    assert check["interval"][0] < check["difference"] < check["interval"][1]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("repeat", "--baseline", "nightli"), "no baselines/nightli.json here; did you mean nightly?"),
        (("repeat", "--baseline", "runs/base/record.json"), "this is no baseline; make one"),
        (("repeat", "--baseline", "nightly", "--tolerance", "step_s=5"), "write a share as 5%"),
        (("mixtral", "--baseline", "nightly"), "is unlike the baseline: model: Mixtral-8x7B, not DeepSeek-V2-Lite"),
        (("reapeat", "--baseline", "nightly"), "no such run"),
        (("s", "--baseline", "nightly"), "2 runs in"),
    ],
)
def test_mistakes_end_with_two_and_say_what_is_wrong(here: Path, words: tuple[str, ...], error: str) -> None:
    answer = call(here, "gate", *words)
    assert answer.code == 2
    assert error in answer.err
    assert "Traceback" not in answer.err and answer.out == ""


def test_several_runs_make_an_envelope_and_no_file_is_replaced_unasked(here: Path) -> None:
    answer = call(here, "baseline", "base", "repeat", "-o", "envelope.json")
    assert answer.code == 0 and answer.out.startswith("envelope.json: 2 runs, ")
    again = call(here, "baseline", "base", "-o", "envelope.json")
    assert again.code == 2 and "this file exists; name another, or replace it by --overwrite" in again.err
    gated = call(here, "gate", "repeat", "--baseline", "envelope.json")
    assert gated.code == 0 and gated.err == ""
    assert call(here, "baseline", "base", "-o", "envelope.json", "--overwrite").code == 0


def test_unlike_runs_make_no_baseline_and_no_file(here: Path) -> None:
    answer = call(here, "baseline", "base", "mixtral", "-o", "unlike.json")
    assert answer.code == 2
    assert "mixtral is unlike base: model: Mixtral-8x7B, not DeepSeek-V2-Lite" in answer.err
    assert not (here / "unlike.json").exists()


def test_scaling_as_a_table_and_as_json(here: Path) -> None:
    answer = call(here, "scaling", "more", "base")
    assert answer.code == 0 and "strong scaling, one global batch of 64" in answer.out
    data = json.loads(call(here, "scaling", "more", "base", "--json").out)
    (series,) = data["series"]
    assert [point["gpus"] for point in series["points"]] == [8, 16]
    assert 0.75 < series["points"][1]["efficiency"] < 0.9
    refused = call(here, "scaling", "mixtral", "base")
    assert refused.code == 2 and "base is unlike mixtral: model" in refused.err


def test_exit_codes_are_told_by_the_command_itself(here: Path) -> None:
    assert "3 a gate was inconclusive" in " ".join(moe_harness("--help", here=here).out.split())
