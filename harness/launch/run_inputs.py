"""Write a run's inputs into its folder before it starts, without secrets."""

import json
import shutil
from collections.abc import Mapping

from harness.config.provenance import Entry, Resolved
from harness.config.secrets import is_secret
from harness.launch.job import Job
from harness.launch.rundir import RunPaths, output_problem

HIDDEN = "(secret)"


def write_inputs(paths: RunPaths, resolved: Resolved, job: Job, script: str) -> None:
    """Write configuration, argv, environment and script; remove the folder where they cannot be written."""
    folder = str(paths.root)
    texts = {
        paths.resolved: _json(resolved_document(resolved)),
        paths.argv: _json(job.program.command_in(folder)),
        paths.env: _json(job.program.env_in(folder)),
        paths.script: script,
    }
    try:
        for path, text in texts.items():
            path.write_bytes(text.encode(errors="surrogateescape"))
    except OSError as error:
        shutil.rmtree(paths.root, ignore_errors=True)
        raise output_problem(paths.root.parent, error) from error


def resolved_document(resolved: Resolved) -> dict[str, object]:
    """Return a configuration as plain data: settings, argv, env, origins (winner last) and notices."""
    return {
        "settings": _without_secrets(resolved.settings),
        "argv": resolved.megatron_args.argv(),
        "env": _without_secrets(resolved.env),
        "origins": {name: [_entry(name, entry) for entry in history] for name, history in resolved.origins.items()},
        "notices": list(resolved.notices),
    }


def _entry(name: str, entry: Entry) -> dict[str, object]:
    origin = entry.origin
    value = HIDDEN if is_secret(name) else entry.value
    return {"value": value, "layer": origin.layer, "path": origin.path, "line": origin.line}


def _without_secrets(values: Mapping[str, object]) -> dict[str, object]:
    return {name: HIDDEN if value and is_secret(name) else value for name, value in values.items()}


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"
