"""A release catalogue made from a Megatron checkout, or from the installed wheel."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.errors import ConfigError, EnvironmentProblem

_PARSER_FILE = Path("megatron/training/arguments.py")
_CHILD = Path(__file__).with_name("parser_options.py")


def dump(megatron_path: Path | None = None) -> str:
    """The catalogue's JSON text, one option a line, sorted: the form of the files beside this module.

    Megatron's parser can only be had by importing Megatron, and torch with it; a child process does that.
    """
    _require_megatron(megatron_path)
    with TemporaryDirectory() as folder:
        output = Path(folder) / "options.json"
        # -P: the folder of the child's script must not come before the checkout on sys.path.
        command = [sys.executable, "-P", "-W", "ignore", str(_CHILD), str(output)]
        child = subprocess.run(
            command, env=_environment(megatron_path), capture_output=True, text=True, errors="replace", check=False
        )
        if child.returncode != 0 or not output.exists():
            raise EnvironmentProblem(_import_failure(megatron_path, child))
        return _render(json.loads(output.read_text(encoding="utf-8")))


def _require_megatron(megatron_path: Path | None) -> None:
    """Refuse a folder that holds no Megatron-LM, and the wheel's absence."""
    if megatron_path is None:
        if find_spec("megatron") is None or find_spec("megatron.training") is None:
            raise EnvironmentProblem(
                "megatron.training is not installed: pip install 'megatron-core>=0.17', or give --megatron-path DIR"
            )
    elif not (megatron_path / _PARSER_FILE).is_file():
        raise ConfigError(
            f"{megatron_path}: not a Megatron-LM checkout (it has no {_PARSER_FILE}); "
            "give the folder that contains megatron/"
        )


def _environment(megatron_path: Path | None) -> dict[str, str]:
    """The child's environment: the checkout first on the path, no GPU in use."""
    environment = dict(os.environ)
    # 0.15 compiles a CUDA allocator while it is imported, and without a GPU torch cannot tell for which architecture.
    environment.setdefault("TORCH_CUDA_ARCH_LIST", "9.0")
    environment["CUDA_VISIBLE_DEVICES"] = ""
    if megatron_path is not None:
        paths = (str(megatron_path.resolve()), environment.get("PYTHONPATH"))
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment


def _import_failure(megatron_path: Path | None, child: subprocess.CompletedProcess[str]) -> str:
    """What the user reads when Megatron could not be imported: the last line of the reason, and the way out."""
    where = "the installed Megatron" if megatron_path is None else str(megatron_path)
    lines = [line.strip() for line in child.stderr.splitlines() if line.strip()]
    reason = lines[-1] if lines else f"exit status {child.returncode}"
    return (
        f"{where}: its argument parser cannot be imported by {sys.executable}: {reason}. "
        "Run this where that Megatron's own requirements are installed"
    )


def _render(catalogue: dict[str, Any]) -> str:
    """The catalogue as JSON with one option a line, so that two releases can be compared with `diff`."""
    options = catalogue["options"]
    lines = ",\n".join(f"{json.dumps(flag)}: {json.dumps(options[flag])}" for flag in sorted(options))
    return f'{{"release": {json.dumps(catalogue["release"])}, "options": {{\n{lines}\n}}}}\n'
