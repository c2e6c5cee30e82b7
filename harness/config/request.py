"""What a user asked for, before any file is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Request:
    """`KEY=VALUE` arguments, the flags after `--` (`extra`), and the environment.

    `default_cluster` is the conf used where nobody names one, `gpus` the GPUs found on this machine, and `executor` who
    will run the job: `local`, `interactive` or `slurm`.
    """

    arguments: Sequence[str] = ()
    extra: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    default_cluster: str = "laptop"
    executor: str = "interactive"
    gpus: int = 0
