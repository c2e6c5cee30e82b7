"""Where a conversion cannot be written, it says why and what helps, before a byte is written where that can be."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_conversion import SlowSource, convert_small, small_plan, tree

from harness.errors import ConfigError, EnvironmentProblem

HERE = Path(__file__).parent


def test_a_target_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target/notes.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(ConfigError, match=r"target exists already: choose another target, or remove it"):
            convert_small(tmp_path / "target", resume=resume)
    assert tree(tmp_path) == {"target/notes.txt": b"mine"}


def test_a_target_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    with pytest.raises(ConfigError, match="target exists already"):
        convert_small(tmp_path / "target")
    assert tree(tmp_path) == {"target": b""}


def test_an_empty_target_is_filled_and_folders_above_it_are_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "empty", tmp_path / "new/folders/target"):
        convert_small(target)
        assert (target / "latest_checkpointed_iteration.txt").read_text() == "release"


def test_two_converters_on_one_target(tmp_path: Path) -> None:
    """The second one is refused while the first one writes; the first one does not notice."""
    refusals: list[str] = []

    def try_too() -> None:
        if not refusals:
            refusals.append("trying")
            with pytest.raises(ConfigError) as raised:
                convert_small(tmp_path / "target", resume=True)
            refusals.append(str(raised.value))

    convert_small(tmp_path / "target", source=SlowSource(told=try_too), threads=1)
    assert f"another converter is writing it (process {os.getpid()} on " in refusals[1]
    assert refusals[1].endswith("wait for it or choose another target")
    assert tree(tmp_path / "target")


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    convert_small(tmp_path / "target")
    assert tree(tmp_path / "target")


def test_too_little_space_is_found_before_a_byte_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = small_plan().size_bytes
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=needed - 1, f_frsize=1))
    with pytest.raises(EnvironmentProblem, match=r"MiB are to be written, 1\.\d\d MiB are free: make room"):
        convert_small(tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_in_the_middle(tmp_path: Path) -> None:
    """A real one: a small tmpfs, on which somebody else writes at the same time; with room made, it goes on."""
    script = """
        filler = root / "filler"
        def fill():
            try:
                filler.write_bytes(b"x" * 1_500_000)
            except OSError:  # more was written already than usual: it took what was left
                pass
        try:
            convert_small(root / "target", source=SlowSource(told=fill))
        except EnvironmentProblem as error:
            print(error)
        filler.unlink()
        convert_small(root / "target", resume=True)
        print(sorted(path.name for path in root.iterdir()))
    """
    lines = _in_small_disk(tmp_path, script)
    assert lines[0].startswith(f"{tmp_path}/disk/target.partial/content/release/__0_")
    assert lines[0].endswith(
        ".distcp: cannot be written: No space left on device; make room on the disk, then go on with --resume: "
        "what is whole is kept"
    )
    assert lines[1] == "['target']"


def test_a_read_only_disk(tmp_path: Path) -> None:
    script = """
        os.system(f"mount -o remount,ro {root}")
        try:
            convert_small(root / "target")
        except EnvironmentProblem as error:
            print(error)
    """
    (line,) = _in_small_disk(tmp_path, script)
    expected = "cannot be written: Read-only file system; choose a place that is not read-only"
    assert line == f"{tmp_path}/disk/target.partial: {expected}"


def test_a_limit_on_file_sizes(tmp_path: Path) -> None:
    script = """
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        try:
            convert_small(root / "target")
        except EnvironmentProblem as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        convert_small(root / "target", resume=True)
    """
    (line,) = _run([], tmp_path, script)
    assert "cannot be written: File too large; raise the limit on file sizes (ulimit -f), then go on" in line
    assert (tmp_path / "target/release/metadata.json").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(EnvironmentProblem, match="Permission denied; choose a place that you may write to"):
        convert_small(tmp_path / "target")


def _in_small_disk(folder: Path, script: str) -> list[str]:
    """Run it with `root` a disk of 2 MiB, mounted for it alone; skips where the system does not allow that."""
    disk = folder / "disk"
    disk.mkdir()
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    mount = ["sh", "-c", f'mount -t tmpfs -o size=2m tmpfs "{disk}" && exec "$0" "$@"']
    if subprocess.run([*alone, *mount, "true"], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a tmpfs")
    return _run([*alone, *mount], disk, script)


def _run(before: list[str], root: Path, script: str) -> list[str]:
    imports = "import os, resource; from pathlib import Path; from small_conversion import *; "
    imports += f"from harness.errors import EnvironmentProblem; root = Path({str(root)!r})\n"
    code = imports + "\n".join(line[8:] for line in script.splitlines())
    path = os.pathsep.join(map(str, (HERE.parents[2], HERE.parents[1], HERE)))
    done = subprocess.run(
        [*before, sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
