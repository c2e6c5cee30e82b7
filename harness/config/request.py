"""What a user asked for, before any file is read."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple


class Request(NamedTuple):
    """`KEY=VALUE` arguments, the flags after `--` (`extra`), and the environment.

    `default_cluster` is the conf used where nobody names one, `gpus` the GPUs found on this machine, and `executor` who
    will run the job: `local`, `interactive` or `slurm`.
    """

    arguments: Sequence[str] = ()
    extra: Sequence[str] = ()
    environ: Mapping[str, str] = MappingProxyType({})
    default_cluster: str = "laptop"
    executor: str = "interactive"
    gpus: int = 0
