"""A table of published measurements: CSV, one row a measured job, in the columns of the shipped runs.csv."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.errors import ConfigError

SHIPPED = Path(__file__).with_name("runs.csv")


class PublishedRow(NamedTuple):
    """What a publication says of one job. None is an empty cell; texts are as printed, and empty where the cell is.

    `mem_gb` is in GB of 10**9 bytes unless `notes` say GiB; `line` is the row's place in its file. `problems` tell of
    cells that cannot be read, which are None or empty here too.
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
    problems: tuple[str, ...] = ()

    @property
    def remarks(self) -> str:
        """Everything said in prose."""
        return f"{self.other_flags}; {self.notes}"


MOST_COUNT, LEAST_QUANTITY, MOST_QUANTITY = 10**8, 1e-6, 1e12
"""Far beyond whatever was measured; a ratio of figures within them is finite."""


def _count(text: str) -> int:
    """A whole number, also as spreadsheets write one: 8.0."""
    number = float(text)
    if not number.is_integer() or not 1 <= number <= MOST_COUNT:
        raise ValueError(text)
    return int(number)


def _quantity(text: str) -> float:
    number = float(text)
    if not LEAST_QUANTITY <= number <= MOST_QUANTITY:  # NaN fails every comparison
        raise ValueError(text)
    return number


_TEXTS = ("source", "model", "gpu", "precision", "recompute", "dispatcher", "other_flags", "notes")
_COUNTS = ("n_gpus", "seq_len", "tp", "pp", "ep", "cp", "vpp", "etp", "mbs", "gbs")
_QUANTITIES = ("step_time_s", "tflops_per_gpu", "tokens_per_s_per_gpu", "mem_gb")
_READERS: Mapping[str, tuple[Callable[[str], float], str]] = {
    **dict.fromkeys(_COUNTS, (_count, f"a whole number from 1 to {MOST_COUNT}, or nothing")),
    **dict.fromkeys(_QUANTITIES, (_quantity, f"a number from {LEAST_QUANTITY:g} to {MOST_QUANTITY:g}, or nothing")),
}
COLUMNS = (*_TEXTS, *_READERS)


def read_rows(path: Path = SHIPPED, *, model: str = "") -> tuple[PublishedRow, ...]:
    """Every row of a table, or every one of a model; further columns are ignored.

    ConfigError for a file that is no such table; a row that cannot be read says so in its `problems`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            _refuse_header(path, table.fieldnames or ())
            return tuple(
                _row(table.line_num, record)
                for record in table
                if not model or (record["model"] or "").strip() == model
            )
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no CSV in UTF-8: {error}") from None


def _refuse_header(path: Path, names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ConfigError(f"{path}:1: no column {', '.join(missing)}; needed: {', '.join(COLUMNS)}")
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise ConfigError(f"{path}:1: more than one column {', '.join(twice)}; keep one of each")


def _row(line: int, record: Mapping[str | None, str | None]) -> PublishedRow:
    problems = list(_uneven(record))
    texts = {name: (record[name] or "").strip() for name in COLUMNS}
    numbers: dict[str, float | None] = dict.fromkeys(_READERS)
    for name, (read, allowed) in _READERS.items():
        try:
            numbers[name] = read(texts[name]) if texts[name] else None
        except ValueError:
            problems.append(f"{name}={texts[name]!r}; allowed: {allowed}")
    words = {name: texts[name] for name in _TEXTS}
    return PublishedRow(line=line, problems=tuple(problems), **words, **numbers)  # type: ignore[arg-type]  # as read


def _uneven(record: Mapping[str | None, str | None]) -> Iterator[str]:
    """A row of more cells or fewer than the header has."""
    if None in record:
        yield "more cells than the header has; quote cells that hold commas"
    if None in record.values():
        yield "fewer cells than the header has"
