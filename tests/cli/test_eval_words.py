"""The spellings of `eval` that people bring from other scripts."""

from pathlib import Path

import pytest

from harness.cli.eval_words import normalised


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["ckpt", "--tasks", "mmlu", "hellaswag", "--limit", "5"],
            ["ckpt", "--tasks=mmlu", "--tasks=hellaswag", *["--limit", "5"]],
        ),
        (["--tasks=a,b", "ckpt"], ["--tasks=a,b", "ckpt"]),
        (["--tasks", "a", "b", "TP=2"], ["--tasks=a", "--tasks=b", "TP=2"]),
        (["--checkpoint_dir", "x", "--skip_lm_eval"], ["--checkpoint-dir", "x", "--skip-lm-eval"]),
        (["--lm_eval_tasks", "mmlu", "arc_easy"], ["--tasks=mmlu", "--tasks=arc_easy"]),
        (["SEED=7", "NGPU=0", "TP=2"], ["--seed=7", "--ngpu=0", "TP=2"]),
        (["--val-npy", "/a/b.npy", "/a/c.npy"], ["--val-data=/a/b.npy", "--val-data=/a/c.npy"]),
        (["--tokenizer-name", "/tok"], ["TOKENIZER_MODEL=/tok"]),
        (["--no-amp"], ["PR=fp32"]),
        (["--data-mode", "text", "ckpt"], ["ckpt"]),
        (["--val-npy", "/DATA/LR=1.npy", "TP=2"], ["--val-data=/DATA/LR=1.npy", "TP=2"]),
        (["--tasks"], ["--tasks="]),
        (["--val-data", "--limit", "5"], ["--val-data=", *["--limit", "5"]]),
        (["SKIP_LM_EVAL=1"], ["--skip-lm-eval"]),
        (["SKIP_LM_EVAL=0"], []),
        (["SKIP_LM_EVAL="], []),
    ],
)
def test_spellings(words: list[str], expected: list[str]) -> None:
    assert normalised(words, lambda _text: None) == expected


def test_a_checkpoint_ends_the_list_of_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ckpt").mkdir()
    assert normalised(["--tasks", "mmlu", "ckpt"], print) == ["--tasks=mmlu", "ckpt"]
    assert normalised(["--tasks", "mmlu", "/some/where"], print) == ["--tasks=mmlu", "/some/where"]


def test_what_says_nothing_new_is_noticed() -> None:
    said: list[str] = []
    normalised(["--data-mode", "fineweb_npy", "--no-amp"], said.append)
    assert said == [
        "--data-mode fineweb_npy says nothing new: what files hold is seen from their names",
        "--no-amp is PR=fp32",
    ]
