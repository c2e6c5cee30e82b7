"""A log that is followed while others write, cut short and replace it."""

from pathlib import Path

from harness.runs.watch.log_tail import LogTail
from harness.training.log.parser import LogParser

LOG = Path(__file__).parents[1] / "fixtures/logs/megatron-0.19.log"


def test_a_growing_log_states_what_the_whole_one_does(tmp_path: Path) -> None:
    data, path, parser = LOG.read_bytes(), tmp_path / "log", LogParser()
    tail = LogTail(path)
    assert tail.read_lines() is None and not tail.exists()
    for at in range(0, len(data), 97):
        with path.open("ab") as file:
            file.write(data[at : at + 97])
        for line in tail.read_lines() or ():
            parser.feed(line)
    assert tail.read_lines() is None
    assert [sample.iteration for sample in parser.log().samples] == [1, 2, 3, 4, 5, 6]
    whole = LogParser()
    for line in LOG.read_text().splitlines():
        whole.feed(line)
    assert parser.log() == whole.log()


def test_a_log_that_is_cut_short_begins_anew_without_the_half_line_of_before(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"whole\nhalf a li")
    tail = LogTail(path)
    assert (tail.read_lines(), tail.restarted) == (["whole"], False)
    path.write_bytes(b"new\n")
    assert (tail.read_lines(), tail.restarted) == (["new"], True)
    with path.open("ab") as file:
        file.write(b"\xff\n")
    assert (tail.read_lines(), tail.restarted) == (["\ufffd"], False)
