"""Golden scripts, in which a line `#: NAME` stands for a file that every Slurm script holds whole."""

import re
from pathlib import Path

import harness.launch.script

_SCRIPT = Path(harness.launch.script.__file__).parent
_FILES = (*_SCRIPT.glob("shell/*.sh"), _SCRIPT / "node_report.py")
_COMMON = {path.name: path.read_text().rstrip("\n") for path in _FILES}


def read_golden(path: Path) -> str:
    """The whole script that a golden file tells."""
    return re.sub(r"^#: (\S+)$", lambda found: _COMMON[found[1]], path.read_text(), flags=re.MULTILINE)


def write_golden(path: Path, script: str) -> None:
    """Write a script as a golden file."""
    for name, text in _COMMON.items():
        script = script.replace(f"\n{text}\n", f"\n#: {name}\n")
    path.parent.mkdir(exist_ok=True)
    path.write_text(script)
