"""Run in a child process by `dump`: writes the options of the Megatron that it can import to the file argv[1]."""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

_ACTIONS = {
    argparse._StoreTrueAction: "store_true",
    argparse._StoreFalseAction: "store_false",
    argparse.BooleanOptionalAction: "boolean_optional",
    argparse._StoreAction: "store",
}


class _ParserReadyError(Exception):
    """Carries Megatron's complete parser out of `parse_args`, before it parses anything."""


def megatron_parser() -> argparse.ArgumentParser:
    """The parser of the importable Megatron, of any release.

    Every release's `parse_args` hands its finished parser to a provider of extra arguments; only from 0.13 on is
    there also a function that builds it.
    """
    arguments = import_module("megatron.training.arguments")

    def stop(parser: argparse.ArgumentParser) -> NoReturn:
        raise _ParserReadyError(parser)

    try:
        arguments.parse_args(stop)
    except _ParserReadyError as built:
        parser: argparse.ArgumentParser = built.args[0]
        return parser
    raise RuntimeError("Megatron's parse_args did not call the provider of extra arguments")


def describe(action: argparse.Action) -> dict[str, Any]:
    """One option as a JSON object; what is empty is left out."""
    kind = next((name for base, name in _ACTIONS.items() if isinstance(action, base)), type(action).__name__)
    entry: dict[str, Any] = {"dest": action.dest, "action": kind}
    if action.type is not None:
        entry["type"] = getattr(action.type, "__name__", str(action.type))
    if action.nargs not in (None, 0):
        entry["nargs"] = action.nargs
    if action.choices is not None:
        entry["choices"] = [str(choice) for choice in action.choices]
    if action.default not in (None, False):
        entry["default"] = action.default
    return entry


def main(output: Path) -> None:
    """Write the release and all its options, by flag."""
    parser = megatron_parser()
    # Megatron adds "+COMMIT" of whatever git checkout it lies in, an environment within another project's included.
    release = import_module("megatron.core").__version__.partition("+")[0]
    options = {
        flag: describe(action)
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction)
        for flag in action.option_strings
    }
    output.write_text(json.dumps({"release": release, "options": options}, default=str), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
