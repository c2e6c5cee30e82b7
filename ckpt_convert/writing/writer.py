"""The files of a plan, written into the content folder of a partial output."""

import os
import zlib
from pathlib import Path
from threading import Lock

from ckpt_convert.assembled import AssembledSource
from ckpt_convert.tensors import TensorSource
from ckpt_convert.writing.files import OutputFile, TensorSlice
from ckpt_convert.writing.hashed_file import HashedFile, new_buffer
from ckpt_convert.writing.journal import Fingerprint, Finished
from ckpt_convert.writing.partial import Partial
from ckpt_convert.writing.plan import OutputPlan
from ckpt_convert.writing.problems import writing
from ckpt_convert.writing.progress import Progress
from ckpt_convert.writing.worker_pool import StopSign, for_each
from harness.errors import EnvironmentProblem
from harness.units import show_bytes


class Writer:
    """Writes the files of a plan that are not finished yet."""

    def __init__(self, plan: OutputPlan, source: TensorSource, partial: Partial, progress: Progress) -> None:
        """Nothing is touched yet."""
        self._plan = plan
        self._source = AssembledSource(plan.tensors, source)
        self._partial = partial
        self._progress = progress
        self._lock = Lock()
        finished = partial.journal.finished
        self._hashes = {
            file.name: finished[file.name].sha256
            for file in plan.files
            if file.name in finished and _size(self._path(file)) == file.size_bytes
        }
        largest_row = max((info.columns * info.dtype.itemsize for info in self._source.tensors.values()), default=1)
        self._largest_row_bytes = largest_row

    def prepare(self, fingerprint: Fingerprint) -> None:
        """Remove half-written files, make sure that the rest fits on the disk, and begin or take up the journal."""
        content = self._partial.content
        with writing(content):
            for folder, _, names in os.walk(content):
                for path in (Path(folder, name) for name in names):
                    if str(path.relative_to(content)) not in self._hashes:
                        path.unlink()
            self._require_space()
            self._partial.journal.begin(fingerprint)
            for file in self._plan.files:
                self._path(file).parent.mkdir(parents=True, exist_ok=True)

    def write(self, threads: int) -> None:
        """Write what is missing: weights in threads, then what makes them a checkpoint."""
        missing = [file for file in self._plan.files if file.name not in self._hashes]
        self._progress.start(self._plan.size_bytes, self._plan.size_bytes - self._missing_bytes)
        try:
            for_each((file for file in missing if file.has_tensors), self._write_weights, threads)
            for file in missing:
                if not file.has_tensors:
                    self._hashes[file.name] = self._write(file, StopSign())
            for file in (self._plan.manifest_file(self._hashes), *self._plan.seals):
                self._write(file, StopSign())
        finally:
            self._progress.close()

    @property
    def _missing_bytes(self) -> int:
        whole = sum(file.size_bytes for file in self._plan.files if file.name in self._hashes)
        return self._plan.size_bytes - whole

    def _write_weights(self, file: OutputFile, stop: StopSign) -> None:
        sha256 = self._write(file, stop)
        with self._lock:
            self._partial.journal.add(Finished(name=file.name, size_bytes=file.size_bytes, sha256=sha256))
            self._hashes[file.name] = sha256

    def _write(self, file: OutputFile, stop: StopSign) -> str:
        with HashedFile(self._path(file), new_buffer(self._largest_row_bytes), self._progress.advance) as out:
            for piece in file.pieces:
                if isinstance(piece, TensorSlice):
                    self._write_slice(piece, out, stop)
                else:
                    out.put(piece)
            return out.finish()

    def _write_slice(self, part: TensorSlice, out: HashedFile, stop: StopSign) -> None:
        """The rows, a buffer at a time, in their frame."""
        info, row, crc = part.info, part.first, 0
        row_bytes, end = info.columns * info.dtype.itemsize, part.first + part.info.rows
        out.put(part.head())
        while row < end:
            stop.check()
            room = out.room((end - row) * row_bytes, row_bytes)
            rows = room.view(info.dtype.numpy).reshape(-1, info.columns)
            self._source.read_rows(part.name, row, rows)
            if part.framed:
                crc = zlib.crc32(room, crc)
            row += len(rows)
        out.put(part.tail(crc))

    def _require_space(self) -> None:
        """Raise EnvironmentProblem unless the disk has room for what is missing."""
        status = os.statvfs(self._partial.folder)
        free_bytes = status.f_bavail * status.f_frsize
        if free_bytes < self._missing_bytes:
            raise EnvironmentProblem(
                f"{self._partial.folder.parent}: {show_bytes(self._missing_bytes)} are to be written, "
                f"{show_bytes(free_bytes)} are free: make room on the disk or choose another target"
            )

    def _path(self, file: OutputFile) -> Path:
        return self._partial.content / file.name


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
