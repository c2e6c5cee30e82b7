"""The folder of one run: never shared, never reused."""

import errno
import os
import time
from dataclasses import dataclass
from pathlib import Path

from harness.errors import EnvironmentProblem


@dataclass(frozen=True)
class RunPaths:
    """The paths of one run; all lie under `root`."""

    root: Path

    @property
    def run_id(self) -> str:
        """The folder's name, by which the run is known."""
        return self.root.name

    @property
    def record(self) -> Path:
        """The run record."""
        return self.root / "record.json"

    @property
    def samples(self) -> Path:
        """The samples of all steps, as JSON lines."""
        return self.root / "samples.jsonl"

    @property
    def log(self) -> Path:
        """All ranks' output, each line as `RANK: text`."""
        return self.root / "log"

    @property
    def script(self) -> Path:
        """The script that was run or submitted, byte for byte."""
        return self.root / "script.sh"

    @property
    def resolved(self) -> Path:
        """The resolved configuration with every value's origin."""
        return self.root / "resolved.json"

    @property
    def argv(self) -> Path:
        """The command line of every rank, as a JSON list."""
        return self.root / "argv.json"

    @property
    def env(self) -> Path:
        """The job's environment, without secrets."""
        return self.root / "env.json"

    @property
    def ranks(self) -> Path:
        """The output of each rank of a run on this node."""
        return self.root / "ranks"

    @property
    def attempts(self) -> Path:
        """The attempts of a Slurm job, a folder each by number: `facts`, and exit codes in `ranks/`."""
        return self.root / "attempts"

    @property
    def finished(self) -> Path:
        """The marker that an attempt has ended well: a further start does nothing."""
        return self.root / "finished"

    @property
    def owner(self) -> Path:
        """The owner's name: an attempt of a Slurm job, or this node's supervising process."""
        return self.root / "owner"

    @property
    def launcher_log(self) -> Path:
        """The output of torchrun itself."""
        return self.ranks / "torchrun.log"


def create_run_dir(output_path: Path, run_name: str) -> RunPaths:
    """Make the new folder `OUTPUT_PATH/NAME-TIME-RANDOM` (UTC). EnvironmentProblem says why it cannot."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    paths = RunPaths(output_path.absolute() / f"{run_name}-{moment}-{os.urandom(3).hex()}")
    make_folders(paths)
    return paths


def make_folders(paths: RunPaths) -> None:
    """Make the folders of a run that has none yet. EnvironmentProblem says why it cannot."""
    output = paths.root.parent
    try:
        output.mkdir(parents=True, exist_ok=True)
        paths.root.mkdir()
        paths.ranks.mkdir()
    except OSError as error:
        raise output_problem(output, error) from error


def output_problem(output: Path, error: OSError) -> EnvironmentProblem:
    """Say what is wrong with OUTPUT_PATH, or with something in it, and what to do."""
    reasons = {
        errno.ENOSPC: "the disk is full; free space there",
        errno.EDQUOT: "your quota there is used up; free space there",
        errno.EEXIST: "it is a file, not a folder; move it away",
        errno.ENOTDIR: "part of the path is a file, not a folder; correct it",
        errno.ENAMETOOLONG: "the path is too long; shorten it",
        errno.EACCES: "it is not writable for you; ask for write permission",
        errno.EPERM: "it is not writable for you; ask for write permission",
        errno.EROFS: "it is on a read-only file system; remount it",
    }
    reason = reasons.get(error.errno or 0, f"{error.strerror}; mend that")
    in_the_way = error.filename if error.errno in (errno.EEXIST, errno.ENOTDIR) else None
    where = f"{in_the_way}: " if in_the_way and str(in_the_way) != str(output) else ""
    return EnvironmentProblem(f"OUTPUT_PATH={output}: {where}{reason}, or set OUTPUT_PATH to another folder")
