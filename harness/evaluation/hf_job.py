"""The job that asks lm-eval's own `hf` model: one process on one node, outside any container."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec

from harness.checkpoint.network_flags import NETWORK
from harness.config.provenance import Resolved
from harness.errors import ConfigError, EnvironmentProblem
from harness.evaluation.hf_model import DTYPES
from harness.evaluation.job import KIND, argument_problems, evaluation_name
from harness.evaluation.spec import EvaluationSpec
from harness.evaluation.task_names import INSTALL_LINE
from harness.launch.executor import Executor
from harness.launch.job import Job, Program
from harness.launch.job_problems import job_problems
from harness.launch.parse_job import whole_nodes
from harness.launch.script.quoting import RUN_DIR

WORKER = "hf-worker"
"""The verb of `eval` that is the job's program: SPEC as JSON, and a folder for what is converted."""

_MAPPING = ("TP", "PP", "EP", "ETP", "PP_FIRST", "PP_LAST", "NNODES", "GPUS_PER_NODE")
_KEPT = (*NETWORK, "--vocab-size")


def hf_spec(spec: EvaluationSpec) -> EvaluationSpec:
    """The same without what has no say in one process: the mapping and the engine's flags."""
    return replace(
        spec,
        backend="hf",
        ep=1,
        settings={name: text for name, text in spec.settings.items() if name not in _MAPPING},
        model_args={flag: text for flag, text in spec.model_args.items() if flag in _KEPT},
    )


def hf_job(
    resolved: Resolved,
    executor: Executor,
    spec: EvaluationSpec,
    *,
    slurm_options: Sequence[str] = (),
    python: str = sys.executable,
) -> Job:
    """Make the job. ConfigError holds every reason why there can be none.

    Its interpreter is this command's own, since the converter is not in the images of clusters.
    """
    argv = (python, "-u", "-m", "harness", "eval", WORKER, spec.as_json(), f"{RUN_DIR}/hf")
    program = [*argument_problems(argv), *_own_problems(resolved, spec)]
    if problems := job_problems(resolved, executor, program=program, slurm_options=slurm_options):
        raise ConfigError(problems)
    return Job(
        kind=KIND,
        name=evaluation_name(resolved, spec),
        executor=executor,
        resources=whole_nodes(resolved, slurm_options)._replace(nodes=1, ranks_per_node=1),
        program=Program(argv=argv, env=dict(resolved.env), python=python, distributed=False),
        retries=resolved.integer("RETRIES"),
    )


def require_hf() -> None:
    """EnvironmentProblem where packages that convert weights, or answer by them, are not installed."""
    needed = ("numpy", "torch", "transformers", "accelerate", "lm_eval")
    if missing := [name for name in needed if find_spec(name) is None]:
        raise EnvironmentProblem(f"--backend hf: no {', no '.join(missing)} here; {INSTALL_LINE}")


def _own_problems(resolved: Resolved, spec: EvaluationSpec) -> Iterator[str]:
    """What lm-eval's model cannot do."""
    precision = resolved.text("PR")
    if precision not in DTYPES:
        yield f"{resolved.at('PR')}PR={precision}: --backend hf computes in {' or '.join(DTYPES)}; set one of them"
    if spec.data.tokenizer is None:
        yield (
            "--backend hf needs a Hugging Face tokenizer, and this model reads bytes; give its folder with"
            " TOKENIZER_MODEL, or leave --backend out"
        )
