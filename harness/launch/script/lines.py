"""Parts that the scripts of all executors share."""

from collections.abc import Iterable, Iterator

from harness.launch.job import Job
from harness.launch.script.quoting import array_lines, quote


def opening() -> Iterator[str]:
    """Bash's strictness, and the run's folder."""
    yield from ("", "set -euo pipefail", "")
    yield "# The run's own folder, made before the job starts: a job whose log has no folder dies without a word."
    yield ': "${RUN_DIR:?is not set: use moe-harness launch, or export RUN_DIR=its folder before sbatch}"'


def environment(job: Job) -> Iterator[str]:
    """The job's variables."""
    if job.program.env:
        yield from ("", "# The job's environment. Secrets are not here: they are inherited.")
    yield from (f"export {name}={quote(value)}" for name, value in job.program.env.items())


def array(name: str, words: Iterable[str]) -> Iterator[str]:
    """A shell array, a flag with its values a line."""
    yield from (f"{name}=(", *array_lines(words), ")")


def continued(command: str, options: Iterable[str], last: str) -> Iterator[str]:
    """A command with an option a line."""
    yield f"{command} \\"
    yield from (f"  {option} \\" for option in options)
    yield f"  {last}"
