"""Check that a configuration can become a job; every problem is reported, with where it was written."""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from harness.config.provenance import Resolved
from harness.config.secrets import is_secret
from harness.launch.executor import ContainerRuntime, Executor
from harness.launch.mounts import parse_mounts, path_problem
from harness.launch.script.quoting import unquotable
from harness.launch.slurm.sbatch_args import split_sbatch_args, split_srun_args
from harness.launch.slurm.time_limit import parse_time_limit_s

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_SLURM_NAME = re.compile(r"[A-Za-z0-9_.,@:+-]+")
_NOT_IN_A_LOG_PATH = {"\\": "a backslash", "\n": "a line break", "\r": "a carriage return"}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = re.compile(r"RUN_DIR|(LOCAL_)?RANK|WORLD_SIZE|SLURM_(JOB_\w+|RESTART_COUNT|PROCID|LOCALID|NTASKS)")
_LOWER = re.compile(r"[a-z_0-9]+(?<!_proxy)")
"""Names like those of the job script's own variables; of others only proxies are written so."""


def _written_at(resolved: Resolved, name: str) -> str:
    """Return `path:line: ` of the file that writes a name, even if another layer wins, else where its value is from."""
    origins = (entry.origin for entry in resolved.origins.get(name, ()) if entry.origin.path)
    return next((f"{origin}: " for origin in origins), resolved.at(name))


def container_runtime(resolved: Resolved) -> ContainerRuntime:
    """The program that starts the container, pyxis unless CONTAINER_RUNTIME says otherwise."""
    known: dict[str, ContainerRuntime] = {"pyxis": "pyxis", "enroot": "enroot", "none": "none"}
    return known[resolved.text("CONTAINER_RUNTIME") or "pyxis"]


def job_problems(
    resolved: Resolved, executor: Executor, *, program: Iterable[str] = (), slurm_options: Sequence[str] = ()
) -> list[str]:
    """List every reason why these settings cannot become a job of this executor; empty if they can.

    `program` are the problems of what its ranks are to run; `slurm_options` are further options of sbatch.
    """
    problems = [*_form_problems(resolved), *program, *_environment_problems(resolved)]
    if executor == "slurm":
        problems += [*_slurm_problems(resolved), *_option_problems(slurm_options)]
    else:
        problems += [*_one_node_problems(resolved, executor), *_slurm_only_problems(executor, slurm_options)]
    if executor != "local":
        problems += _image_problems(resolved, executor)
    return problems


def name_problem(name: str) -> str | None:
    """Say why a text cannot name a job and its folder, and what is allowed; None if it can."""
    if _NAME.fullmatch(name):
        return None
    return (
        "cannot name a job and its folder; allowed: letters, digits, '_', '.' and '-', beginning with a letter or digit"
    )


def _form_problems(resolved: Resolved) -> Iterator[str]:
    parsers: dict[str, Callable[[str], object]] = {
        "RUN_TIME": parse_time_limit_s,
        "CONTAINER_MOUNTS": parse_mounts,
        "SBATCH_ARGS": split_sbatch_args,
        "SRUN_ARGS": split_srun_args,
    }
    for name, parse in parsers.items():
        try:
            parse(resolved.text(name))
        except ValueError as error:
            yield f"{resolved.at(name)}{name}={resolved.text(name)!r}: {error}"


def _environment_problems(resolved: Resolved) -> Iterator[str]:
    for name, value in resolved.env.items():
        if is_secret(name):
            yield (
                f"{_written_at(resolved, name)}{name} is a secret and would stand readable in the job's script;"
                f" take it out and `export {name}=…` in the shell that launches"
            )
        elif not _VARIABLE.fullmatch(name):
            yield f"{resolved.at(name)}{name!r} cannot name an environment variable; allowed: letters, digits and '_'"
        elif _RESERVED.fullmatch(name):
            yield f"{resolved.at(name)}{name} is the launcher's own to set; leave it out"
        elif _LOWER.fullmatch(name):
            yield f"{resolved.at(name)}{name} may be a variable of the job's script; allowed: upper case, and proxies"
        elif problem := unquotable(value):
            yield f"{resolved.at(name)}{name}={value!r} {problem}"


def _slurm_problems(resolved: Resolved) -> Iterator[str]:
    for name in ("ACCOUNT", "PARTITION"):
        value = resolved.text(name)
        if value and not _SLURM_NAME.fullmatch(value):
            yield f"{resolved.at(name)}{name}={value!r} cannot be a word for Slurm; allowed: letters, digits, _.,@:+-"
    output = str(Path(resolved.text("OUTPUT_PATH")).absolute())
    for name in (name for sign, name in _NOT_IN_A_LOG_PATH.items() if sign in output):
        yield f"{resolved.at('OUTPUT_PATH')}OUTPUT_PATH={output!r} holds {name}, which Slurm takes in no log's path"


def _option_problems(slurm_options: Sequence[str]) -> Iterator[str]:
    for option in slurm_options:
        try:
            split_sbatch_args(shlex.quote(option))
        except ValueError as error:
            yield f"{option}: {error}"


def unused_settings(resolved: Resolved, executor: Executor) -> list[str]:
    """List the settings that someone typed for Slurm and that have no effect with this executor."""
    if executor == "slurm":
        return []
    typed = {"command line", "environment"}
    named = [name for name in ("RETRIES", "SBATCH_ARGS", "SRUN_ARGS") if resolved.text(name) not in ("", "0")]
    given = [name for name in named if (origin := resolved.origin(name)) and origin.layer in typed]
    return [f"{' and '.join(given)}: for Slurm alone, without a say in --on {executor}"] if given else []


def _slurm_only_problems(executor: Executor, slurm_options: Sequence[str]) -> Iterator[str]:
    if slurm_options:
        yield f"{' '.join(slurm_options)} is for Slurm, and --on {executor} is not; leave it out, or use --on slurm"


def _one_node_problems(resolved: Resolved, executor: Executor) -> Iterator[str]:
    nodes = resolved.integer("NNODES", 1)
    if nodes != 1:
        yield f"{resolved.at('NNODES')}NNODES={nodes}, but --on {executor} is one node; set NNODES=1, or use --on slurm"


def _image_problems(resolved: Resolved, executor: Executor) -> Iterator[str]:
    image, runtime = resolved.settings.get("CONTAINER_IMAGE"), container_runtime(resolved)
    if image is None or runtime == "none":
        return
    where = resolved.at("CONTAINER_IMAGE")
    if not str(image).strip():
        yield f"{where}CONTAINER_IMAGE is empty, and srun would run on the bare host; name an image, or leave it unset"
    elif problem := unquotable(str(image)):
        yield f"{where}CONTAINER_IMAGE={image!r} {problem}"
    elif (executor == "interactive" or runtime == "enroot") and not str(image).startswith(("/", "./", "../")):
        yield (
            f"{where}CONTAINER_IMAGE={image} is not a file, and `enroot start` takes no URI;"
            f" make one (enroot import -o image.sqsh docker://…) and set CONTAINER_IMAGE to its path"
        )
    output = resolved.text("OUTPUT_PATH")
    if output and (problem := path_problem(output)):
        yield f"{resolved.at('OUTPUT_PATH')}OUTPUT_PATH cannot be mounted in the container: {problem}"
