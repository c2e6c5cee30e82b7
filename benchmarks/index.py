"""How fast many runs are listed and asked: `python benchmarks/index.py [RECORDS] [TIMES]`.

Real records (the runs of a folder named by RUNS, else those of the tests) are copied with other ids, times and figures.
Each command runs as a process of its own, start-up included, and so does what it stands beside: Python's JSON over all
records, and a stat of each. Beside the wall time stands the processes' own, which other work on the machine changes
less.
"""

import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

RECORDS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
TIMES = int(sys.argv[2]) if len(sys.argv) > 2 else 5
FIXTURES = Path(__file__).parents[1] / "tests/fixtures/records"
SQL = "select model, ep, count(*) n, median(step_time_s) step_time_s, max(mfu) mfu from runs group by all order by all"
READ_ALL = (
    "import json, pathlib, sys\nfor p in pathlib.Path(sys.argv[1]).glob('*/record.json'): json.loads(p.read_text())"
)
STAT_ALL = "import os, sys\nfor e in os.scandir(sys.argv[1]): os.stat(e.path + '/record.json')"
WARM = {
    "runs list": ("list",),
    "runs list --where ep=2 --sort -step_time_s": ("list", "--where", "ep=2", "--sort", "-step_time_s"),
    "runs list --json": ("list", "--json"),
    "runs sql 'select … group by …'": ("sql", SQL),
}


class Times(NamedTuple):
    """Of one process: the seconds that passed, and those of the processor."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Print a line a figure."""
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "runs", Path(folder) / "cache"
        size = _make_records(root)
        print(f"{RECORDS:,} records, {size / RECORDS / 1000:.0f} kB each")
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "OUTPUT_PATH": str(root)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        program = str(Path(sys.executable).with_name("moe-harness"))
        cold = _timed([program, "runs", "list"], environment)
        index_bytes = sum(path.stat().st_size for path in cache.rglob("*.json"))
        _show("runs list, cold: the index is built", [cold], f"index {index_bytes / 1e6:.1f} MB")
        for name, words in WARM.items():
            _show(f"{name}, warm", [_timed([program, "runs", *words], environment) for _ in range(TIMES)])
        _show("runs list after 100 records changed", [_after_changes(root, program, environment) for _ in range(TIMES)])
        read = [sys.executable, "-c", READ_ALL, str(root)]
        _show("Python's JSON over all records", [_timed(read, environment) for _ in range(min(TIMES, 2))])
        stat = [sys.executable, "-c", STAT_ALL, str(root)]
        _show("a stat of each record", [_timed(stat, environment) for _ in range(TIMES)])


def _make_records(root: Path) -> int:
    """Write the records; returns their bytes."""
    sources = sorted(Path(os.environ["RUNS"]).glob("*/record.json")) if "RUNS" in os.environ else []
    documents = [json.loads(path.read_text()) for path in sources or [FIXTURES / "version-3.json"]]
    size = 0
    for number, document in zip(range(RECORDS), itertools.cycle(documents), strict=False):
        run_id = f"run-{number:06}"
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_750_000_000 + 60 * number))
        document |= {"run_id": run_id, "created": created, "started": created, "ended": created}
        if summary := document["result"].get("summary"):
            summary["median_s"] = 1 + number % 997 / 1000
        (root / run_id).mkdir(parents=True)
        size += (root / run_id / "record.json").write_text(json.dumps(document, indent=1))
    return size


def _after_changes(root: Path, program: str, environment: dict[str, str]) -> Times:
    for number in range(0, RECORDS, max(RECORDS // 100, 1)):
        os.utime(root / f"run-{number:06}" / "record.json")
    return _timed([program, "runs", "list"], environment)


def _timed(command: Sequence[str], environment: dict[str, str]) -> Times:
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Times(time.perf_counter() - start, cpu_s)


def _show(name: str, times: Sequence[Times], more: str = "") -> None:
    wall, cpu = ([time[which] for time in times] for which in (0, 1))
    spread = f" [{min(wall):.2f} to {max(wall):.2f}]" if len(times) > 1 else ""
    figures = f"{statistics.median(wall):7.2f} s{spread}, CPU {statistics.median(cpu):.2f} s"
    print(f"{figures}  {name}{f' ({more})' if more else ''}", flush=True)


if __name__ == "__main__":
    main()
