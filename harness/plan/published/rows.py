"""A table of published measurements: CSV, one row a measured job, in the columns of the shipped runs.csv."""

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError

SHIPPED = Path(__file__).with_name("runs.csv")


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """What a publication says of one job. None is an empty cell; texts are as printed, and empty where the cell is.

    `mem_gb` is in GB of 10**9 bytes unless `notes` say GiB; `line` is the row's place in its file.
    """

    source: str
    model: str
    gpu: str
    n_gpus: int | None
    precision: str
    seq_len: int | None
    tp: int | None
    pp: int | None
    ep: int | None
    cp: int | None
    vpp: int | None
    etp: int | None
    mbs: int | None
    gbs: int | None
    recompute: str
    dispatcher: str
    other_flags: str
    step_time_s: float | None
    tflops_per_gpu: float | None
    tokens_per_s_per_gpu: float | None
    mem_gb: float | None
    notes: str
    line: int

    @property
    def remarks(self) -> str:
        """Everything said in prose."""
        return f"{self.other_flags}; {self.notes}"


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _quantity(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or number <= 0:
        raise ValueError(text)
    return number


_NEEDED = ("source", "model", "gpu")
_TEXTS = (*_NEEDED, "precision", "recompute", "dispatcher", "other_flags", "notes")
_COUNTS = ("n_gpus", "seq_len", "tp", "pp", "ep", "cp", "vpp", "etp", "mbs", "gbs")
_QUANTITIES = ("step_time_s", "tflops_per_gpu", "tokens_per_s_per_gpu", "mem_gb")
_READERS: Mapping[str, tuple[Callable[[str], float], str]] = {
    **dict.fromkeys(_COUNTS, (_count, "a whole number above 0, or nothing")),
    **dict.fromkeys(_QUANTITIES, (_quantity, "a number above 0, or nothing")),
}
COLUMNS = (*_TEXTS, *_READERS)


def read_rows(path: Path = SHIPPED) -> tuple[PublishedRow, ...]:
    """Every row of a table; further columns are ignored. ConfigError names every cell that cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise ConfigError(f"{path}:1: no column {', '.join(missing)}; needed: {', '.join(COLUMNS)}")
            cells = [(table.line_num, record) for record in table]
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no CSV in UTF-8: {error}") from None
    problems = [f"{path}:{line}: {problem}" for line, record in cells for problem in _problems(record)]
    if problems:
        raise ConfigError(problems)
    return tuple(_row(line, record) for line, record in cells)


def _problems(record: Mapping[str | None, object]) -> Iterator[str]:
    if None in record:
        yield "more cells than the header has; quote cells that hold commas"
        return
    if None in record.values():
        yield "fewer cells than the header has"
        return
    for name in _NEEDED:
        if not str(record[name]).strip():
            yield f"{name} is empty"
    for name, (read, allowed) in _READERS.items():
        text = str(record[name]).strip()
        try:
            _ = read(text) if text else None
        except ValueError:
            yield f"{name}={text!r}; allowed: {allowed}"


def _row(line: int, record: Mapping[str, str]) -> PublishedRow:
    texts = {name: record[name].strip() for name in _TEXTS}
    numbers = {name: read(text) if (text := record[name].strip()) else None for name, (read, _) in _READERS.items()}
    return PublishedRow(line=line, **texts, **numbers)  # type: ignore[arg-type]  # each reader gives its field's type
