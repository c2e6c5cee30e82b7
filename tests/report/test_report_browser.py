"""The page of runs in a real browser: it draws, sorts, filters, hides, says no error and asks for nothing outside."""

from pathlib import Path

import pytest
from chromium import Chromium
from cli_command import moe_harness
from evaluation_documents import evaluation_document
from report_runs import HOSTILE, made_run, reported

from harness.report.html.report_page import report_page
from harness.report.html.series_page import series_page

pytestmark = pytest.mark.slow

ROWS = "[...document.querySelectorAll('#runs tbody tr')]"
SHOWN = f"{ROWS}.filter(row => !row.hidden).map(row => row.cells[0].textContent.trim().split(/\\s/)[0])"
INKED = """(() => {
  const canvas = document.querySelector('[data-chart=loss] canvas');
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return pixels.filter((value, at) => at % 4 === 3 && value > 0).length;
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of three runs, one with names that would do harm."""
    root = tmp_path_factory.mktemp("runs")
    folders = [
        made_run(root, "beta", step_s=1.8, ep=4, steps=(100, 200, 300), seed=1),
        made_run(root, "alpha", step_s=2.4, steps=(100, 200), seed=2),
        made_run(root, "gamma", step_s=11.0, seed=3, settings={"CONTAINER_IMAGE": HOSTILE, "COMMENT": HOSTILE}),
    ]
    path = root / "report.html"
    path.write_text(report_page([reported(folder) for folder in folders], made="2026-01-01T00:00:00Z"))
    return path


@pytest.mark.parametrize(
    ("width", "dark", "media"), [(1280, False, ""), (390, False, ""), (1280, True, ""), (1280, False, "print")]
)
def test_it_draws_on_any_medium(browser: Chromium, page: Path, width: int, dark: bool, media: str) -> None:
    browser.open(page, width=width, dark=dark, media=media)
    assert browser.value("document.querySelectorAll('figure.chart canvas').length") == browser.value(
        "document.querySelectorAll('figure.chart').length"
    )
    assert browser.value(INKED) > 500
    assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.value("getComputedStyle(document.body).fontSize >= '12px'")
    if media == "print":
        assert browser.value("document.querySelector('#results .scroll').scrollWidth") <= width
    assert (browser.console, browser.asked) == ([], [])


def test_a_theme_that_changes_is_followed(browser: Chromium, page: Path) -> None:
    browser.open(page)
    before = browser.value("document.querySelector('[data-chart=loss] canvas').toDataURL()")
    browser.show(dark=True)
    browser.value("new Promise(done => setTimeout(done, 200))")
    assert browser.value("document.querySelector('[data-chart=loss] canvas').toDataURL()") != before


def test_headers_sort_by_figures_with_the_keyboard_too(browser: Chromium, page: Path) -> None:
    browser.open(page)
    header = "[...document.querySelectorAll('#runs thead th')].find(it => it.textContent.startsWith('Step time'))"
    browser.value(f"{header}.querySelector('button').focus()")
    browser.press("Enter", 13)
    assert browser.value(SHOWN)[:2] == ["beta", "alpha"]
    assert browser.value(f"{header}.getAttribute('aria-sort')") == "ascending"
    browser.press("Enter", 13)
    assert browser.value(SHOWN)[1:] == ["alpha", "beta"]
    assert browser.value("document.querySelectorAll('#runs [aria-sort=ascending]').length") == 0


def test_runs_are_filtered_and_hidden_everywhere(browser: Chromium, page: Path) -> None:
    browser.open(page)
    browser.value("document.getElementById('filter').focus()")
    browser.send("Input.insertText", text="alp")
    assert browser.value(SHOWN) == ["alpha"]
    assert browser.value("document.getElementById('count').textContent") == "1 of 3 runs"
    assert browser.value("[...document.querySelectorAll('#memory [data-run]')].map(it => it.hidden)") == [
        True,
        False,
        True,
    ]
    browser.value("document.getElementById('filter').value = ''; document.querySelector('[data-chip=\"0\"]').focus()")
    ink = browser.value(INKED)
    browser.press(" ", 32)
    assert browser.value("document.querySelector('[data-chip=\"0\"]').getAttribute('aria-pressed')") == "false"
    assert "beta" not in browser.value(SHOWN)
    browser.value("new Promise(done => setTimeout(done, 100))")
    assert browser.value(INKED) != ink


def test_each_curve_has_its_table_and_can_be_read_by_keys(browser: Chromium, page: Path) -> None:
    browser.open(page)
    browser.value("document.querySelectorAll('figure.chart details').forEach(it => { it.open = true; })")
    browser.value("new Promise(done => setTimeout(done, 200))")
    rows = browser.value(
        "[...document.querySelectorAll('figure.chart')].map(it => it.querySelectorAll('tbody tr').length)"
    )
    assert min(rows) >= 2
    assert rows[0] == 60
    browser.value("document.querySelector('[data-chart=loss] .plot').focus()")
    browser.press("ArrowRight", 39)
    assert "step 1" in browser.value("document.querySelector('[data-chart=loss] .tip').textContent")


def test_what_a_name_holds_does_nothing(browser: Chromium, page: Path) -> None:
    browser.open(page)
    assert browser.value("document.querySelectorAll('script').length") == 3
    browser.value(
        "(() => { const made = document.createElement('script'); made.textContent = 'window.harmed = 1';"
        " document.body.append(made); })()"
    )
    assert browser.value("window.harmed === undefined")


def test_the_page_of_a_plan_tells_its_dots_and_keeps_its_columns_in_print(browser: Chromium, tmp_path: Path) -> None:
    words = ("MODEL=Qwen3-30B-A3B", "GPU=H100", "GPUS=16", "--page", "plan.html")
    assert moe_harness("plan", *words, here=tmp_path).code == 0
    for width, kind in ((1280, "wide"), (390, "narrow")):
        browser.open(tmp_path / "plan.html", width=width)
        assert browser.value("document.documentElement.scrollWidth") == width
        assert browser.value(f"document.querySelector('.scatter.{kind}').offsetWidth > 0")
        size = browser.value(
            f"(() => {{ const text = document.querySelector('.scatter.{kind} text');"
            " return parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a; })()"
        )
        assert size >= 11
    browser.open(tmp_path / "plan.html")
    browser.value(
        "(() => { const dot = document.querySelector('.scatter.wide circle.best').getBoundingClientRect();"
        " document.querySelector('.scatter.wide svg').dispatchEvent(new PointerEvent('pointermove',"
        " { clientX: dot.x + 9, clientY: dot.y + 9 })); })()"
    )
    assert "tokens/s/GPU" in browser.value("document.querySelector('.scatter.wide .tip').textContent")
    browser.show(media="print")
    assert browser.value("document.querySelector('#best .scroll').scrollWidth <= innerWidth")
    assert (browser.console, browser.asked) == ([], [])


def test_the_page_of_a_series_draws_its_charts(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "series.html"
    documents = [evaluation_document(step, noise=step) for step in (10, 20)]
    page.write_text(series_page(documents, made="2026-01-01T00:00:00Z"))
    browser.open(page, width=390)
    assert browser.value("document.querySelectorAll('figure.chart canvas').length") > 20
    assert browser.value("document.documentElement.scrollWidth") == 390
    assert (browser.console, browser.asked) == ([], [])
