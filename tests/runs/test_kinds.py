"""A kind is added by its own modules and two entries: records, logs, tables and steps then work with its runs."""

from dataclasses import replace
from pathlib import Path

import pytest
from packing_kind import PACKING, PACKING_VIEW, Packing
from stored_records import load_version

from harness.report.text.kind_views import VIEWS
from harness.report.text.run_data import run_data
from harness.report.text.run_list import show_rows
from harness.report.text.run_table import show_summary
from harness.report.text.step import step_text
from harness.runs.columns import row_of
from harness.runs.kinds import KINDS
from harness.runs.log_reading import read_log_at, reader_of
from harness.runs.record import RunRecord
from harness.runs.record_file import UnreadableRecord, load, save
from harness.runs.samples_file import load_samples, save_samples
from harness.runs.store import StoredRun


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunRecord:
    """A run that packs, and has a log."""
    monkeypatch.setitem(KINDS, "packing", PACKING)  # type: ignore[arg-type]
    monkeypatch.setitem(VIEWS, "packing", PACKING_VIEW)  # type: ignore[arg-type]
    (tmp_path / "log").write_text("hello\npacked 1.5\npacked 2\n")
    return replace(load_version(3), kind="packing", run_id="packed-1", result=None, attempts=(), error=None)


def test_its_log_becomes_its_result_which_is_kept_and_shown(record: RunRecord, tmp_path: Path) -> None:
    stored = StoredRun(folder=tmp_path, record=record)
    assert ("packed" in show_summary(record).splitlines()[-1], run_data(stored)["kilograms"]) == (False, None)
    reading = read_log_at(record, tmp_path / "log")
    save_samples(reading.samples or (), reading.record, stored.paths)
    save(reading.record, stored.paths.record, {})
    ended = load(stored.paths.record)
    assert (ended.result, ended.hosts, ended.predicted) == (Packing(kilograms=3.5), ("warehouse",), None)
    assert [sample["kilograms"] for sample in load_samples(stored.paths)] == [1.5, 2.0]
    assert show_summary(ended).splitlines()[-1].split() == ["packed", "3.5", "kg"]
    listed = show_rows([row_of(replace(stored, record=ended))]).splitlines()[-1].split()
    assert listed == ["packed-1", "completed", "DeepSeek-V2-Lite", "0", *"––––"]
    assert run_data(replace(stored, record=ended))["kilograms"] == 3.5


def test_its_steps_are_lines(record: RunRecord) -> None:
    step = reader_of(record).feed("packed 1.5")
    assert step is not None and step_text(step) == "box 1/3  1.5 kg"


def test_a_mistake_in_its_result_is_named(record: RunRecord, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    save(replace(record, result=Packing()), path, {})
    path.write_text(path.read_text().replace('"kilograms": 0.0', '"kilograms": "heavy"'))
    with pytest.raises(UnreadableRecord, match=r"result\.kilograms: expected a number, found 'heavy'"):
        load(path)


def test_every_kind_has_a_view_under_its_own_name() -> None:
    assert {name: kind.name for name, kind in KINDS.items()} == {name: name for name in VIEWS}
