"""What a verb imports is what it costs to start: the heavy libraries stay out."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "numpy", "megatron", "transformers", "wandb", "tqdm", "asyncio", "difflib", "statistics")
VERBS = {
    "help": ["--help"],
    "resolve": ["resolve", "--json", "MODEL=DeepSeek-V3"],
    "explain": ["explain", "EP", "MODEL=DeepSeek-V3"],
    "check": ["check", "MODEL=DeepSeek-V3"],
    "dry run": ["launch", "--dry-run", "MODEL=DeepSeek-V3"],
    "slurm dry run": ["launch", "--on", "slurm", "--dry-run", "MODEL=DeepSeek-V3"],
    "releases": ["releases", "list"],
    "runs list": ["runs", "list", "--output-path", "."],
    "convert help": ["convert", "run", "--help"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_no_heavy_import(verb: str, tmp_path: Path) -> None:
    code = f"import sys; from harness.cli.main import run; run({VERBS[verb]!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    modules = set(done.stderr.splitlines()[-1].split())
    assert "harness.cli.main" in modules
    assert not modules & set(HEAVY)
