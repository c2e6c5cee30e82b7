"""The script of a Slurm job: its #SBATCH options and variables, then the shell files of `shell/` as they stand.

All of it needs bash and Slurm's own programs alone: a compute node may have no Python outside the container.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.launch.job import Job
from harness.launch.script.container import caches, enroot_task, image_guard, pyxis_options, run_mark
from harness.launch.script.lines import array, continued, environment, opening
from harness.launch.script.quoting import quote
from harness.launch.slurm.job_state import ENDED_STATES
from harness.launch.slurm.time_limit import show_time_limit

_SHELL = Path(__file__).with_name("shell")
_NODE_REPORT = Path(__file__).with_name("node_report.py")

SAVING_TAKES_S = 120
"""The time before the limit at which the ranks are asked to save: writing a large checkpoint takes a minute or two."""


class RetryPatterns(NamedTuple):
    """Extended regular expressions by which a job's script decides whether to start anew (shell/retry.sh).

    `transient` is what passes by itself, each pattern with its name; `permanent` is what never does; `weak` is what
    never does either, but is also printed by a rank that goes on.
    """

    transient: tuple[tuple[str, str], ...]
    permanent: str
    weak: str


def slurm_lines(job: Job, patterns: RetryPatterns | None) -> Iterator[str]:
    """Render all lines of the script; `patterns` are those of a job with retries. ValueError if such a job has none."""
    if job.retries and patterns is None:
        raise ValueError("a job with retries needs the patterns of faults that pass")
    yield "#!/bin/bash"
    yield from (f"#SBATCH {option}" for option in _sbatch_options(job))
    yield from opening()
    yield f"nodes={job.resources.nodes} ranks={job.resources.ranks}"
    yield f"ended_states='{'|'.join(sorted(ENDED_STATES))}'"
    if job.array:
        yield from ("", *_shell("array.sh"))
    yield from ("", *_shell("owner.sh"), "", *_shell("attempt.sh"))
    if job.array:
        yield 'note "task=$task"'
    if job.retries:
        yield from ("", f"retries={job.retries} ranks_per_node={job.resources.ranks_per_node}")
        yield from ("", *_shell("requeue.sh"), "", *_shell("lost_node.sh"), "", *_shell("last_attempt.sh"))
    yield from ("", *_shell("rendezvous.sh"))
    last_step = "" if job.program.last_step is None else job.program.last_step
    yield from ("", f"last_step={last_step}", *_shell("checkpoints.sh"))
    yield from environment(job)
    yield from _program(job)
    yield from _rank_shell(job)
    if job.container:
        yield from image_guard(job.container.image)
    yield from ("", "# srun would read the rest of this script as its input: give it none.")
    yield from continued("srun", _srun_options(job), f"{_task(job)} </dev/null &")
    yield from ("step=$!", "", *_shell("wait.sh"), "", *_shell("end.sh"))
    if job.retries and patterns:
        yield from ("", *pattern_lines(patterns), "", *_shell("retry.sh"))
    yield from ("", 'exit "$code"')


def _sbatch_options(job: Job) -> Iterator[str]:
    asked = job.resources
    yield f"--job-name={job.name}"
    if asked.account:
        yield f"--account={asked.account}"
    if asked.partition:
        yield f"--partition={asked.partition}"
    if job.array:
        at_once = f"%{job.array.at_once}" if job.array.at_once else ""
        yield f"--array=0-{job.array.tasks - 1}{at_once}"
    yield f"--nodes={asked.nodes}"
    yield f"--ntasks-per-node={asked.ranks_per_node}"
    if asked.device == "gpu":
        yield f"--gpus-per-node={asked.ranks_per_node}"
    if asked.cpus_per_rank:
        yield f"--cpus-per-task={asked.cpus_per_rank}"
    if asked.time_limit_s:
        yield f"--time={show_time_limit(asked.time_limit_s)}"
        if job.program.fresh is not None:
            yield f"--signal=B:USR1@{min(SAVING_TAKES_S, asked.time_limit_s // 4)}"
    yield from (f"--mem={asked.memory}",) if asked.cpus_per_rank else ("--exclusive", "--mem=0")
    yield from ("--requeue" if job.retries else "--no-requeue", "--open-mode=append")
    yield from asked.sbatch_args


def _program(job: Job) -> Iterator[str]:
    yield from ("", "# What every rank runs.")
    yield from array("program", job.program.argv)
    if job.program.fresh is not None:
        yield from (*array("fresh", job.program.fresh), *array("resumed", job.program.resumed))
        yield from ("", *_shell("resume.sh"))


def _rank_shell(job: Job) -> Iterator[str]:
    yield from ("", "# ---- What each rank's task does ".ljust(_RULE, "-"))
    yield from ("IFS= read -r -d '' rank_shell <<'RANK' || true", *_rank_facts(job), *_shell("rank.sh"), "RANK")
    yield from ("", "# What the first rank of each node says of it in the log.")
    yield from ("IFS= read -r -d '' node_report <<'PYTHON' || true", *_text(_NODE_REPORT), "PYTHON")


def _rank_facts(job: Job) -> Iterator[str]:
    yield f"ranks={job.resources.ranks} ranks_per_node={job.resources.ranks_per_node}"
    yield f"gpus={job.resources.ranks_per_node if job.resources.device == 'gpu' else 0}"
    mark = run_mark(job.container)
    yield f"python={quote(job.program.python)} megatron={quote(job.program.checkout or '')} mark={mark}"
    mounts = job.container.mounts if job.container else ()
    yield f"mounts=({' '.join(quote(mount.target) for mount in mounts)})"
    if job.container and (own := caches(job.program.env)):
        yield f"export {' '.join(own)}"


def _srun_options(job: Job) -> Iterator[str]:
    # One rank may save for longer than others: --wait=0 leaves it the time.
    yield " ".join(("-l --kill-on-bad-exit=1 --wait=0 --export=ALL", *map(quote, job.resources.srun_args)))
    if job.resources.cpus_per_rank:
        yield f"--cpus-per-task={job.resources.cpus_per_rank}"  # a step takes none from sbatch since 22.05
    if job.container and job.container.runtime == "pyxis":
        yield from pyxis_options(job.container, job.program.env)


def _task(job: Job) -> str:
    shell = 'bash -c "$rank_shell" rank "$attempt" "$me" "$node_report" "${program[@]}"'
    if job.container and job.container.runtime == "enroot":
        return " \\\n  ".join((*enroot_task(job.container, job.program.env), shell))
    return shell


def pattern_lines(patterns: RetryPatterns) -> Iterator[str]:
    """The shell variables that `shell/retry.sh` takes."""
    yield from ("# What passes by itself, by name, and what never does; the latter wins.", "transient=(")
    yield from (f"  {quote(name)} {quote(pattern)}" for name, pattern in patterns.transient)
    yield from (")", f"permanent={quote(patterns.permanent)}")
    yield "# What never does either, but is also printed by a rank that goes on."
    yield f"weak={quote(patterns.weak)}"


def _shell(name: str) -> Sequence[str]:
    return _text(_SHELL / name)


def _text(path: Path) -> Sequence[str]:
    return path.read_text(encoding="utf-8").rstrip("\n").split("\n")


_RULE = 115
