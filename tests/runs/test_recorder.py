"""How a run on this node writes its end: the record whatever happens, and its samples beside it."""

from pathlib import Path

import pytest
from stored_records import load_version, result_of, with_result

from harness.errors import EnvironmentProblem
from harness.launch.run import Outcome
from harness.launch.rundir import RunPaths
from harness.runs.log_reading import reader_of
from harness.runs.record import RunRecord
from harness.runs.record_file import load
from harness.runs.recorder import finish
from harness.runs.samples_file import load_samples

RECORD = load_version(3)
LOG = Path(__file__).parents[1] / "fixtures" / "logs" / "megatron-0.19.log"


def end(paths: RunPaths) -> RunRecord:
    """The end of a run whose log was read line by line."""
    running = with_result(RECORD, summary=None, in_effect=None, differences=())
    reader = reader_of(running)
    for line in LOG.read_text().splitlines():
        reader.feed(line)
    return finish(paths, running, reader, Outcome(status="completed", exit_code=0))


def test_the_samples_lie_beside_the_record(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    ended = end(paths)
    assert load(paths.record) == ended
    summary = result_of(ended).summary
    assert summary is not None and summary.n_used > 0
    assert len(load_samples(paths)) == summary.n_used + summary.n_dropped
    assert "iteration" not in paths.record.read_text().replace("first_iteration", "").replace("last_iteration", "")


def test_the_end_is_written_where_its_samples_cannot_be(tmp_path: Path) -> None:
    """Nobody else could write it: the supervisor is about to leave."""
    paths = RunPaths(tmp_path)
    paths.samples.mkdir()
    with pytest.raises(EnvironmentProblem, match="cannot write the run's samples"):
        end(paths)
    assert load(paths.record).status == "completed"
