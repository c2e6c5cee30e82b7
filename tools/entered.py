"""How much of the project a command goes through: `python tools/entered.py launch --dry-run MODEL=DeepSeek-V3`.

Prints the files and functions of harness and ckpt_convert that were entered, each counted once, and how often the
job builder and the resolver were called. `--list` in front also prints the files.
"""

import contextlib
import io
import os
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

ROOT = Path.cwd()
"""The checkout that is measured: the one in which the command is given."""

CALLED_ONCE = ("read_configuration", "training_job", "conversion_job", "render_script")
"""What a command should call once, whatever it does."""

_NO_FUNCTIONS = {"<module>", "<genexpr>", "<lambda>", "<listcomp>", "<dictcomp>", "<setcomp>"}


def entered(arguments: list[str]) -> Counter[CodeType]:
    """How often each of the project's functions was entered by `moe-harness ARGUMENTS…`."""
    calls: Counter[CodeType] = Counter()
    folders = tuple(f"{ROOT / name}{os.sep}" for name in ("harness", "ckpt_convert"))

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(folders):
            calls[code] += 1

    from harness.cli.main import run

    sys.setprofile(profile)
    try:
        run(arguments)
    finally:
        sys.setprofile(None)
    return calls


def main() -> None:
    """Print the counts of one command."""
    sys.path.insert(0, str(ROOT))
    arguments = sys.argv[1:]
    lists = arguments[:1] == ["--list"]
    out, errors = (io.TextIOWrapper(io.BytesIO()) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        calls = entered(arguments[lists:])
    functions = [code for code in calls if code.co_name not in _NO_FUNCTIONS]
    files = {code.co_filename for code in functions}
    print(f"{len(files)} files, {len(functions)} functions: moe-harness {' '.join(arguments[lists:])}")
    for name in CALLED_ONCE:
        if times := sum(count for code, count in calls.items() if code.co_name == name):
            print(f"  {name} was called {times} times")
    if lists:
        print("\n".join(sorted(str(Path(name).relative_to(ROOT)) for name in files)))


if __name__ == "__main__":
    main()
