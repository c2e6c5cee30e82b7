"""The script of a Slurm job: what was asked for, then the shell files that see it through, as they stand in `shell/`.

All of it needs bash and Slurm's own programs alone: a compute node may have no Python outside the container.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.launch.job import JobSpec
from harness.launch.resume import RESUMED
from harness.launch.script.container import caches, enroot_task, image_guard, pyxis_options, run_mark
from harness.launch.script.lines import array, continued, environment, job_head, opening
from harness.launch.script.quoting import quote
from harness.launch.signatures import pattern_of, signatures
from harness.launch.slurm.job_state import ENDED
from harness.launch.slurm.time_limit import show_time_limit

_SHELL = Path(__file__).with_name("shell")
_NODE_REPORT = Path(__file__).with_name("node_report.py")

SAVING_TAKES_S = 120
"""How long before the time limit the ranks are asked to save: writing a large checkpoint takes a minute or two."""


def slurm_lines(spec: JobSpec) -> Iterator[str]:
    """All lines of the script."""
    yield "#!/bin/bash"
    yield from (f"#SBATCH {option}" for option in _sbatch_options(spec))
    yield from opening()
    yield f"nodes={spec.nodes} ranks={spec.nodes * spec.gpus_per_node}"
    yield f"ended_states='{'|'.join(sorted(ENDED))}'"
    yield from ("", *_shell("owner.sh"), "", *_shell("attempt.sh"))
    if spec.retries:
        yield from ("", f"retries={spec.retries} ranks_per_node={spec.gpus_per_node}")
        yield from ("", *_shell("requeue.sh"), "", *_shell("lost_node.sh"), "", *_shell("last_attempt.sh"))
    yield from ("", *_shell("rendezvous.sh"))
    yield from ("", f"last_step={'' if spec.train_iters is None else spec.train_iters}", *_shell("checkpoints.sh"))
    yield from environment(spec)
    yield from _program(spec)
    yield from _rank_shell(spec)
    if spec.image:
        yield from image_guard(spec.image)
    yield from ("", "# srun would read the rest of this script as its input: give it none.")
    yield from continued("srun", _srun_options(spec), f"{_task(spec)} </dev/null &")
    yield from ("step=$!", "", *_shell("wait.sh"), "", *_shell("end.sh"))
    if spec.retries:
        yield from ("", *_patterns(), "", *_shell("retry.sh"))
    yield from ("", 'exit "$code"')


def _sbatch_options(spec: JobSpec) -> Iterator[str]:
    yield from job_head(spec.name, spec.account, spec.partition)
    yield f"--nodes={spec.nodes}"
    yield f"--ntasks-per-node={spec.gpus_per_node}"
    if spec.device == "gpu":
        yield f"--gpus-per-node={spec.gpus_per_node}"
    yield f"--time={show_time_limit(spec.time_limit_s)}"
    if spec.fresh is not None:
        yield f"--signal=B:USR1@{min(SAVING_TAKES_S, spec.time_limit_s // 4)}"
    yield from ("--exclusive", "--mem=0", "--requeue" if spec.retries else "--no-requeue", "--open-mode=append")
    yield from spec.sbatch_args


def _program(spec: JobSpec) -> Iterator[str]:
    yield from ("", "# What every rank runs.")
    yield from array("program", spec.argv)
    if spec.fresh is not None:
        yield from (*array("fresh", spec.fresh), *array("resumed", RESUMED), "", *_shell("resume.sh"))


def _rank_shell(spec: JobSpec) -> Iterator[str]:
    yield from ("", "# ---- What each rank's task does ".ljust(_RULE, "-"))
    yield from ("IFS= read -r -d '' rank_shell <<'RANK' || true", *_rank_facts(spec), *_shell("rank.sh"), "RANK")
    yield from ("", "# What the first rank of each node says of it in the log.")
    yield from ("IFS= read -r -d '' node_report <<'PYTHON' || true", *_text(_NODE_REPORT), "PYTHON")


def _rank_facts(spec: JobSpec) -> Iterator[str]:
    yield f"ranks={spec.nodes * spec.gpus_per_node} ranks_per_node={spec.gpus_per_node}"
    yield f"gpus={spec.gpus_per_node if spec.device == 'gpu' else 0}"
    yield f"python={quote(spec.python)} megatron={quote(spec.megatron or '')} mark={run_mark(spec)}"
    yield f"mounts=({' '.join(quote(mount.target) for mount in spec.mounts)})"
    if spec.image and (own := caches(spec)):
        yield f"export {' '.join(own)}"


def _srun_options(spec: JobSpec) -> Iterator[str]:
    # One rank may save for longer than others: --wait=0 leaves it the time.
    yield " ".join(("-l --kill-on-bad-exit=1 --wait=0 --export=ALL", *map(quote, spec.srun_args)))
    if spec.image and spec.runtime == "pyxis":
        yield from pyxis_options(spec)


def _task(spec: JobSpec) -> str:
    shell = 'bash -c "$rank_shell" rank "$attempt" "$me" "$node_report" "${program[@]}"'
    if spec.image and spec.runtime == "enroot":
        return " \\\n  ".join((*enroot_task(spec), shell))
    return shell


def _patterns() -> Iterator[str]:
    passing = (it for it in signatures() if it.transient and it.patterns)
    lasting = [it for it in signatures() if it.lasting]
    yield from ("# What passes by itself, by name, and what never does; the latter wins.", "transient=(")
    yield from (f"  {quote(it.name)} {quote(pattern_of([it]))}" for it in passing)
    yield from (")", f"permanent={quote(pattern_of(it for it in lasting if not it.weak))}")
    yield "# What never does either, but is also printed by a rank that goes on."
    yield f"weak={quote(pattern_of(it for it in lasting if it.weak))}"


def _shell(name: str) -> Sequence[str]:
    return _text(_SHELL / name)


def _text(path: Path) -> Sequence[str]:
    return path.read_text(encoding="utf-8").rstrip("\n").split("\n")


_RULE = 115
