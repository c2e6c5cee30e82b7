"""The page of runs as text: whole, small, and what a name holds is text."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from page_markup import page_markup
from report_runs import HOSTILE, made_run, made_samples, reported

from harness.config.megatron_args import MegatronArgs
from harness.errors import ConfigError
from harness.report.html.report_page import report_page
from harness.report.html.run_curves import run_curves, warm_up
from harness.report.html.run_style import RUN_COLOURS
from harness.report.html.templating import MOST_BYTES, TEMPLATES, UPLOT, page_data
from harness.report.reported_run import ReportedRun, run_labels
from harness.report.text.publication_table import publication_row
from harness.runs.record import Cause, RunError

MADE = "2026-01-01T00:00:00Z"


def _sections(page: str) -> list[str]:
    return re.findall(r'<section id="([a-z-]+)"', page)


def _data(page: str) -> dict:  # type: ignore[type-arg]
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


@pytest.fixture
def three(tmp_path: Path) -> list[ReportedRun]:
    """Two mappings, one of them twice."""
    return [
        reported(made_run(tmp_path, "fast", step_s=1.8, ep=4, steps=(100, 200), seed=1)),
        reported(made_run(tmp_path, "slow", step_s=2.4, ep=2, steps=(100, 200), seed=2)),
        reported(made_run(tmp_path, "slow-2", step_s=2.5, ep=2, seed=3, settings={"COMMENT": "again"})),
    ]


def test_the_page_is_whole_small_and_has_every_part(three: list[ReportedRun]) -> None:
    page = report_page(three, made=MADE)
    markup = page_markup(page)
    assert markup.open == []
    assert all(address.startswith("#") for address in markup.fetched)
    assert len(page.encode()) < 200_000
    assert _sections(page) == [
        *("results", "curves", "step-times", "memory", "predictions", "routing", "checkpoints", "evaluations"),
        *("configuration", "reproduce"),
    ]
    assert "@import" not in page
    assert "url(" not in page
    assert MADE in page
    assert "default-src &#39;none&#39;" in page


def test_the_headline_tells_the_fastest_and_the_table_what_papers_print(three: list[ReportedRun]) -> None:
    page = report_page(three, made=MADE)
    assert "<h1>3 runs of DeepSeek-V2-Lite on NVIDIA H200</h1>" in page
    assert "Fastest of 3 timed runs: 18,204 tokens/s/GPU on 8 ranks (TP 1, CP 1, EP 4, PP 2, DP 4)" in page
    head = re.sub(r"<[^>]*>", "", page.split("<thead>")[1].split("</thead>")[0]).split()
    assert head[:9] == ["Run", "Model", "System", "Precision", "#GPUs", "SEQ_LEN", "TP", "CP", "EP"]
    assert head[-2:] == ["Memory", "GiB"]


def test_unlike_runs_are_not_ranked(tmp_path: Path) -> None:
    runs = [
        reported(made_run(tmp_path, "a")),
        reported(made_run(tmp_path, "b", settings={"MODEL": "Mixtral-8x7B"})),
    ]
    page = report_page(runs, made=MADE)
    assert "These figures do not compare: b is unlike a: model: Mixtral-8x7B, not DeepSeek-V2-Lite" in page
    assert "none is called the best" in page
    assert "Fastest" not in page


def test_differences_have_their_origins(three: list[ReportedRun]) -> None:
    part = report_page(three, made=MADE).split('id="configuration"')[1].split("</section>")[0]
    assert '<th scope="row">EP</th><td>4<small>command line</small></td>' in re.sub(r">\s+<", "><", part)
    assert "GPUS_PER_NODE" not in part


def test_how_to_run_it_again(three: list[ReportedRun]) -> None:
    part = report_page(three[:1], made=MADE).split('id="reproduce"')[1]
    assert "<pre>moe-harness launch --on slurm EP=4</pre>" in part
    assert "<dd>0123456789abcdef0123456789abcdef01234567</dd>" in part


def test_whatever_a_run_holds_is_text(tmp_path: Path) -> None:
    error = RunError(cause=Cause(name="x", text=HOSTILE, change=HOSTILE))
    settings = {"COMMENT": HOSTILE, "CONTAINER_IMAGE": HOSTILE, "MODEL": f"a{HOSTILE}"}
    runs = [
        reported(made_run(tmp_path, "a", settings=settings, status="failed", error=error, hosts=(HOSTILE,))),
        reported(made_run(tmp_path, "b", settings={**settings, "COMMENT": "</script><!--"})),
    ]
    runs[0] = replace(runs[0], folder=Path(f"/data/{HOSTILE}"))
    page = report_page(runs, made=MADE)
    assert page.count("<script") == 3
    assert page.count("</script>") == 3
    assert "<!--" not in page.split("</head>")[1].split('id="page-data"')[0]
    assert page_markup(page).open == []


def test_data_in_a_script_ends_no_script() -> None:
    text = page_data({"name": f"</script><!--{HOSTILE}\u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text)["name"] == f"</script><!--{HOSTILE}\u2028"


def test_a_nan_is_missing_and_never_zero(tmp_path: Path) -> None:
    folder = made_run(tmp_path, "nan")
    lines = (folder / "samples.jsonl").read_text().splitlines()
    lines[9] = json.dumps({**json.loads(lines[9]), "loss": "nan"})
    (folder / "samples.jsonl").write_text("\n".join(lines))
    loss = next(chart for chart in _data(report_page([reported(folder)], made=MADE))["charts"] if chart["id"] == "loss")
    assert loss["lines"][0]["y"][9] is None
    assert loss["lines"][0]["y"][8] > 0


def test_a_run_without_samples_or_with_torn_ones_is_told(tmp_path: Path) -> None:
    torn = made_run(tmp_path, "torn")
    (torn / "samples.jsonl").write_text('{"iteration": 1')
    page = report_page([reported(torn)], made=MADE)
    assert "samples are damaged" in page
    assert "curves" not in _sections(page)
    going = reported(made_run(tmp_path, "going", status="running"))
    assert "going is running: its figures are those of the steps so far" in report_page([going], made=MADE)


def test_evaluations_are_no_runs_of_a_report(tmp_path: Path) -> None:
    made = made_run(tmp_path, "eval")
    document = json.loads((made / "record.json").read_text()) | {"kind": "evaluation", "result": None}
    (made / "record.json").write_text(json.dumps(document))
    with pytest.raises(
        ConfigError, match="eval: reports are of training, and this is evaluation; moe-harness eval rep"
    ):
        reported(made)


def test_long_and_many_runs_make_no_large_page(tmp_path: Path) -> None:
    one = reported(made_run(tmp_path, "one", steps=(1, 2)))
    long = replace(one, samples=made_samples(2.0, 1, 3_000))
    page = report_page([long] * 12, made=MADE)
    assert len(page.encode()) < MOST_BYTES
    with pytest.raises(ConfigError, match="a report of 1200 runs is larger than a page of 1 MB; name fewer of them"):
        report_page([replace(one, samples=(), evaluations=())] * 1200, made=MADE)


def test_points_of_long_runs_are_medians_of_neighbours(three: list[ReportedRun]) -> None:
    loss = run_curves(three, run_labels(three), most_points=20)[0]
    assert list(loss.lines[0].x) == list(range(3, 61, 3))
    assert loss.lines[0].y[0] == sorted(sample.loss or 0 for sample in three[0].samples[:3])[1]
    assert "the median of neighbouring steps, 20 at the most" in loss.note


def test_warm_up_is_the_steps_that_do_not_count(three: list[ReportedRun]) -> None:
    assert warm_up(three[0].samples) == [(1, 6)]


def test_labels_are_comments_where_they_are_of_one_run(three: list[ReportedRun]) -> None:
    assert run_labels(three) == ["fast", "slow", "again"]
    assert run_labels([three[2], three[2]]) == ["slow-2", "slow-2"]


def test_the_library_of_curves_is_the_one_that_was_checked_in() -> None:
    lines = (UPLOT / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    assert set(sums) == {"uPlot.iife.min.js", "uPlot.min.css", "LICENSE"}
    for name, digest in sums.items():
        assert hashlib.sha256((UPLOT / name).read_bytes()).hexdigest() == digest
    assert "MIT License" in (UPLOT / "LICENSE").read_text()
    assert "(v1.6.32)" in (UPLOT / "uPlot.iife.min.js").read_text()[:100]


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_and_lines_stand_out_from_their_ground_in_both_themes() -> None:
    style = (TEMPLATES / "page.css").read_text()
    blocks = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in style.split("@media")[:2]]
    for theme, colours in zip(("light", "dark"), blocks, strict=True):
        for ground in ("ground", "card"):
            for text in ("ink", "muted", "accent"):
                assert _contrast(colours[text], colours[ground]) >= 4.5, (theme, text, ground)
        assert _contrast(colours["warn"], colours["warn-card"]) >= 4.5
        for mark in (colours["dot"], colours["limit"], *RUN_COLOURS[theme]):  # type: ignore[index]
            assert _contrast(mark, colours["ground"]) >= 3, (theme, mark)


def test_selected_modules_are_named_as_recomputed(tmp_path: Path) -> None:
    run = reported(made_run(tmp_path, "a"))
    flags = {"--recompute-granularity": "selective", "--recompute-modules": ("moe_act", "mla_up_proj")}
    args = MegatronArgs({**run.record.resolved.megatron_args, **flags})
    record = replace(run.record, resolved=replace(run.record.resolved, megatron_args=args))
    assert publication_row(record)["Recompute"] == "mla_up_proj moe_act"
