"""`moe-harness runs report` and `eval report` as a user calls them."""

import json
from pathlib import Path

import pytest
from cli_command import Answer, moe_harness
from evaluation_documents import evaluation_document
from report_runs import made_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of two runs."""
    made_run(tmp_path / "runs", "fast", step_s=1.8, ep=4, steps=(100, 200))
    made_run(tmp_path / "runs", "slow", step_s=2.4)
    return tmp_path


def _report(here: Path, *words: str) -> Answer:
    return moe_harness("runs", "report", "--output-path", "runs", *words, here=here)


def test_a_page_is_written_and_kept_unless_asked(runs: Path) -> None:
    first = _report(runs, "fast", "slow")
    assert (first.code, first.out) == (0, "")
    assert first.err.startswith("written: report.html (")
    page = (runs / "report.html").read_text()
    assert "<h1>2 runs of DeepSeek-V2-Lite on NVIDIA H200</h1>" in page
    again = _report(runs, "fast")
    assert (again.code, again.errors) == (2, ["report.html exists; give --overwrite, or another file by -o"])
    assert (runs / "report.html").read_text() == page
    assert _report(runs, "fast", "--overwrite").code == 0
    assert (runs / "report.html").read_text() != page


def test_a_table_goes_to_the_screen_or_as_its_file_ends(runs: Path) -> None:
    shown = _report(runs, "fast", "--format", "md")
    assert shown.out.startswith("| Run | Model | System |")
    assert _report(runs, "fast", "slow", "-o", "table.csv").code == 0
    assert (runs / "table.csv").read_text().count("\n") == 3
    assert "\\toprule" in _report(runs, "slow", "--format", "tex").out


def test_an_mllog_is_of_one_run(runs: Path) -> None:
    assert _report(runs, "fast", "--format", "mllog").out.startswith(':::MLLOG {"namespace": ""')
    both = _report(runs, "fast", "slow", "--format", "mllog")
    assert both.code == 2
    assert both.errors == ["--format mllog: such a log is of one run, and 2 are named; name one"]


def test_a_file_that_cannot_be_written(runs: Path) -> None:
    answer = _report(runs, "fast", "-o", "nowhere/report.html")
    assert answer.code == 2
    assert answer.errors == [
        "nowhere/report.html: cannot be written: No such file or directory; name a file in a folder that you may write"
    ]


def test_no_such_run(runs: Path) -> None:
    assert "fasd: no such run in runs" in _report(runs, "fasd").errors[0]


def test_evaluations_are_a_page_of_their_own(runs: Path) -> None:
    answer = moe_harness("eval", "report", "runs/fast", "-o", "eval.html", here=runs)
    assert answer.code == 0
    assert "tiny: evaluation over steps" in (runs / "eval.html").read_text()
    none = moe_harness("eval", "report", "runs/slow", "--overwrite", here=runs)
    assert none.code == 2
    assert none.errors[0].startswith("runs/slow: no results eval_results_*.json in this folder or its folder eval")


def test_evaluations_of_two_models_are_no_page(runs: Path) -> None:
    other = evaluation_document(300) | {"model": "another"}
    (runs / "eval_results_20260102_000000.json").write_text(json.dumps(other))
    answer = moe_harness("eval", "report", "runs/fast", "eval_results_20260102_000000.json", here=runs)
    assert answer.code == 2
    assert "these results are of tiny and another" in answer.errors[0]


def test_a_sweep_whose_page_exists_does_not_begin(runs: Path) -> None:
    (runs / "page.html").write_text("kept")
    answer = moe_harness("sweep", "MODEL=DeepSeek-V2-Lite", "EP=1,2", "--report", "page.html", here=runs)
    assert (answer.code, answer.errors) == (2, ["page.html exists; give --overwrite, or another file by -o"])
