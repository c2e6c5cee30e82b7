"""Catalogues made from a real Megatron, and our check against that Megatron's own parser."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import harness.config.releases as releases
from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.releases import check, load, parse
from harness.config.releases.dump import dump
from harness.errors import ConfigError, EnvironmentProblem

_FOLDER = Path(releases.__file__).parent
_WORDS = (
    "1",
    "two",
    "1.5",
    "flash",
    "alltoall",
    "SIGTERM",
    "15",
    "([0]*1+[1]*2)",
    "[0]+x",
    "-1",
    "-x",
    "",
    "a b",
    "128,0",
    "(1,2)",
)
_DECIDE = """
import json, runpy, sys
parser = runpy.run_path(sys.argv[1])["megatron_parser"]()
def refuse(message):
    raise SystemExit
parser.error = refuse  # the parser's own error() formats the usage of 845 options, every time
def accepts(argv):
    try:
        parser.parse_args(argv)
    except (SystemExit, KeyError):
        return False
    return True
cases = json.load(open(sys.argv[2]))
json.dump([accepts(argv) for argv in cases], open(sys.argv[3], "w"))
"""

needs_megatron = pytest.mark.skipif(find_spec("megatron") is None, reason="megatron-core is not installed")


@needs_megatron
@pytest.mark.slow
def test_the_installed_wheel_dumps_to_the_shipped_catalogue() -> None:
    text = dump()
    assert text == (_FOLDER / "0.19.json").read_text(encoding="utf-8")
    assert parse(text) == load("0.19")


@needs_megatron
@pytest.mark.slow
def test_check_decides_as_megatrons_parser_does(tmp_path: Path) -> None:
    """One option of each kind in 0.19 with no value, with words of many kinds, and with two words.

    It differs where it must: the catalogue has no list of CUDA graph modules, and "False" is no boolean to us.
    """
    cases = list(_cases())
    argvs = [argv for argv, _ in cases]
    questions, answers = tmp_path / "questions.json", tmp_path / "answers.json"
    questions.write_text(json.dumps(argvs))
    command = [sys.executable, "-P", "-W", "ignore", "-c", _DECIDE, str(_FOLDER / "parser_options.py")]
    subprocess.run([*command, str(questions), str(answers)], check=True, capture_output=True)
    accepted = json.loads(answers.read_text())
    differing = {argv[0] for argv, (_, ours), theirs in zip(argvs, cases, accepted, strict=True) if ours != theirs}
    assert differing <= {"--cuda-graph-modules", "--cuda-graph-scope", "--onnx-safe"}
    assert min(accepted.count(True), accepted.count(False)) > 200, "both answers are common"


def _cases() -> Iterator[tuple[list[str], bool]]:
    """An argv and whether our check takes it."""
    options = load("0.19").options.values()
    kinds = {(option.action, option.type, option.nargs, option.choices): option for option in options}
    for option in kinds.values():
        values: tuple[ArgValue, ...] = (True, *_WORDS, ("1", "2"), *option.choices)
        for value in values:
            yield MegatronArgs({option.flag: value}).argv(), check(option, value) is None


def test_a_folder_that_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        dump(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: not a Megatron-LM checkout (it has no megatron/training/arguments.py); "
        "give the folder that contains megatron/"
    )


def _checkout(root: Path, arguments: str) -> Path:
    """The smallest folder that looks like a checkout; regular packages, so that no installed Megatron mixes in."""
    for package in ("megatron", "megatron/core", "megatron/training"):
        (root / package).mkdir(parents=True, exist_ok=True)
        (root / package / "__init__.py").write_text("__version__ = '0.99.0'\n")
    (root / "megatron/training/arguments.py").write_text(arguments)
    return root


def test_a_checkout_that_cannot_be_imported_shows_the_reason(tmp_path: Path) -> None:
    checkout = _checkout(tmp_path / "My $(Megatron)", "import no_such_package_at_all\n")
    with pytest.raises(EnvironmentProblem) as caught:
        dump(checkout)
    assert str(caught.value) == (
        f"{checkout}: its argument parser cannot be imported by {sys.executable}: "
        "ModuleNotFoundError: No module named 'no_such_package_at_all'. "
        "Run this where that Megatron's own requirements are installed"
    )


def test_the_checkout_comes_before_what_is_installed(tmp_path: Path) -> None:
    arguments = """
import argparse
print("Megatron talks while it is imported")
def parse_args(extra_args_provider=None, ignore_unknown_args=False):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--width", "--w", type=int, nargs="+", choices=[1, 2], default=0)
    parser.add_argument("--quiet", action=argparse.BooleanOptionalAction)
    return extra_args_provider(parser).parse_args()
"""
    assert dump(_checkout(tmp_path, arguments)) == (
        '{"release": "0.99.0", "options": {\n'
        '"--no-quiet": {"dest": "quiet", "action": "boolean_optional"},\n'
        '"--quiet": {"dest": "quiet", "action": "boolean_optional"},\n'
        '"--w": {"dest": "width", "action": "store", "type": "int", "nargs": "+", "choices": ["1", "2"]},\n'
        '"--width": {"dest": "width", "action": "store", "type": "int", "nargs": "+", "choices": ["1", "2"]}\n'
        "}}\n"
    )
