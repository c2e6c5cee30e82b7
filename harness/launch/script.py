"""The job's script, as one pure function of the job: the dry run prints it, and the very same bytes run.

Nothing in it depends on the time or the run: the run's folder comes in as the variable RUN_DIR.
"""

from collections.abc import Iterable, Iterator

from harness.launch.container import RUN_MARK, caches, enroot_options, srun_options
from harness.launch.job import JobSpec
from harness.launch.quoting import RUN_DIR, array_lines, quote
from harness.launch.time_limit import show_time_limit


def render_script(spec: JobSpec) -> str:
    """The whole script: an sbatch script for Slurm, else one that starts torchrun on this node."""
    lines = _slurm_lines(spec) if spec.place == "slurm" else _one_node_lines(spec)
    return "\n".join(lines) + "\n"


def _slurm_lines(spec: JobSpec) -> Iterator[str]:
    yield "#!/bin/bash"
    yield from (f"#SBATCH {option}" for option in _sbatch_options(spec))
    yield from _opening()
    yield 'cd -- "$RUN_DIR"'
    yield ""
    yield from ('hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")', "export MASTER_ADDR=${hosts%%$'\\n'*}")
    yield "export MASTER_PORT=$((10000 + SLURM_JOB_ID % 20000))"
    yield from _environment(spec)
    yield from _program(spec)
    yield from _rank_shell(spec)
    if spec.image:
        yield from _image_guard(spec.image)
    yield from ("", "# srun would read the rest of this script as its input: give it none.")
    options = ["--mpi=pmix -l --kill-on-bad-exit=1 --export=ALL", *(srun_options(spec) if spec.image else ())]
    yield from _continued("srun", options, 'bash -c "$rank_shell" rank "${program[@]}" </dev/null')
    yield from _roll_call(spec)


def _sbatch_options(spec: JobSpec) -> Iterator[str]:
    yield f"--job-name={spec.name}"
    if spec.account:
        yield f"--account={spec.account}"
    if spec.partition:
        yield f"--partition={spec.partition}"
    yield f"--nodes={spec.nodes}"
    yield f"--ntasks-per-node={spec.gpus_per_node}"
    if spec.device == "gpu":
        yield f"--gpus-per-node={spec.gpus_per_node}"
    yield f"--time={show_time_limit(spec.time_limit_s)}"
    yield from ("--exclusive", "--mem=0", "--no-requeue", "--open-mode=append")
    yield from spec.sbatch_args


def _opening() -> Iterator[str]:
    yield from ("", "set -euo pipefail", "")
    yield "# The run's own folder, made before the job starts: a job whose log has no folder dies without a word."
    yield ': "${RUN_DIR:?is not set: use moe-harness launch, or export RUN_DIR=a new folder before sbatch}"'
    yield 'mkdir -p -- "$RUN_DIR/ranks"'


def _environment(spec: JobSpec) -> Iterator[str]:
    if spec.env:
        yield from ("", "# The job's environment. Secrets are not here: they are inherited.")
    yield from (f"export {name}={quote(value)}" for name, value in spec.env.items())


def _program(spec: JobSpec) -> Iterator[str]:
    yield from ("", "# What every rank runs.", "program=(", *array_lines(spec.argv), ")")


def _rank_shell(spec: JobSpec) -> Iterator[str]:
    yield from ("", "# Each rank's own shell. It outlives a TERM, so that every rank leaves its own exit code.")
    yield from ("rank_shell='", "trap : TERM")
    yield "export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS"
    yield "code=0"
    if spec.image:
        yield f'if [ {RUN_MARK} -ef "$RUN_DIR" ]; then'
        yield from (f"  export {assignment}" for assignment in caches(spec))
        yield from ('  "$@" || code=$?', "else", "  code=125")
        yield '  echo "rank $RANK is not in the container: does this cluster have pyxis?" >&2'
        yield "fi"
    else:
        yield '"$@" || code=$?'
    yield from ('echo "$code" >"$RUN_DIR/ranks/$RANK.exit"', 'exit "$code"', "'")


def _roll_call(spec: JobSpec) -> Iterator[str]:
    yield from ("", "# srun ends with 0 though tasks were never launched: every rank must have ended well.")
    yield f"for ((rank = 0; rank < {spec.nodes * spec.gpus_per_node}; rank++)); do"
    yield '  grep -qx 0 "$RUN_DIR/ranks/$rank.exit" || { echo "rank $rank did not end well" >&2; exit 1; }'
    yield "done"


def _image_guard(image: str) -> Iterator[str]:
    yield from ("", f"image={quote(image)}")
    yield ': "${image:?is empty: srun would run on the bare host}"'
    if image.startswith("/"):
        yield '[ -r "$image" ] || { echo "cannot read the container image $image on $(hostname)" >&2; exit 1; }'


def _one_node_lines(spec: JobSpec) -> Iterator[str]:
    yield from ("#!/bin/bash", *_opening())
    if spec.device == "cpu":
        yield from ("", "# A fair share of the cores for every rank, unless the caller or the job says otherwise.")
        yield "cores=$(env -u OMP_NUM_THREADS nproc)"
        yield f"share=$((cores > {spec.gpus_per_node} ? cores / {spec.gpus_per_node} : 1))"
        yield "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$share}"
    yield from _environment(spec)
    yield from _program(spec)
    yield ""
    if spec.image:
        options = (*enroot_options(spec), quote(spec.image), _container_environment(spec))
        yield from _continued("exec enroot start", options, _torchrun(spec))
    else:
        yield f"exec {_torchrun(spec)}"


def _container_environment(spec: JobSpec) -> str:
    names = [*spec.env, "RUN_DIR", *(["OMP_NUM_THREADS"] if spec.device == "cpu" else [])]
    inherited = [f'{name}="${name}"' for name in dict.fromkeys(names)]
    return " ".join(("env", *caches(spec), *inherited))


def _torchrun(spec: JobSpec) -> str:
    options = f"--standalone --nproc-per-node={spec.gpus_per_node} --redirects=3 --no-python"
    logs = quote(f"--log-dir={RUN_DIR}/ranks")
    return f'{quote(spec.python)} -m torch.distributed.run {options} {logs} "${{program[@]}}"'


def _continued(command: str, options: Iterable[str], last: str) -> Iterator[str]:
    yield f"{command} \\"
    yield from (f"  {option} \\" for option in options)
    yield f"  {last}"
