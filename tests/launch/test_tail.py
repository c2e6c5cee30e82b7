"""Following files that grow."""

from pathlib import Path

from harness.launch.log.tail import LineTail, RankTails


def test_only_whole_lines_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    tail = LineTail(path)
    assert list(tail.read()) == [b"one"]
    assert list(tail.read()) == []
    with path.open("ab") as file:
        file.write(b"o\n\xff\nlast")
    assert list(tail.read()) == [b"two", b"\xff"]
    assert list(tail.read(final=True)) == [b"last"]


def test_lines_carry_their_rank_in_order_of_number(tmp_path: Path) -> None:
    for rank in (10, 2):
        folder = tmp_path / "none_x" / "attempt_0" / str(rank)
        folder.mkdir(parents=True)
        (folder / "stdout.log").write_text(f"out {rank}\n")
        (folder / "stderr.log").write_text(f"err {rank}\n")
    assert list(RankTails(tmp_path).read()) == [b"2: err 2", b"2: out 2", b"10: err 10", b"10: out 10"]
