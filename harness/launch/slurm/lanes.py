"""Lanes limit how many jobs of a campaign run at once: one in each, whether or not anybody drives the campaign."""

import re
from collections.abc import Sequence

from harness.errors import ConfigError

_DEPENDENCY = re.compile(r"(?:--dependency[= ]|-d *)(.+)")


def lane_options(campaign: str, lane: int, sbatch_args: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the options of sbatch that put a job into a lane.

    Slurm's `singleton` counts jobs of one name and user, so it needs no ids of jobs that Slurm may have forgotten. It
    joins a dependency that SBATCH_ARGS asks for, which the option would displace.
    """
    asked = _dependencies(sbatch_args)[-1:]
    return (f"--job-name={campaign}.{lane}", f"--dependency={','.join([*asked, 'singleton'])}")


def require_joinable(sbatch_args: Sequence[str]) -> None:
    """ConfigError if a job with these options cannot be put into a lane."""
    for asked in _dependencies(sbatch_args):
        if "?" in asked:
            raise ConfigError(
                f"--max-jobs makes jobs wait for one another, which cannot be joined with the either-or of {asked!r} in"
                " SBATCH_ARGS; leave one of them out"
            )


def _dependencies(sbatch_args: Sequence[str]) -> list[str]:
    return [match[1] for option in sbatch_args if (match := _DEPENDENCY.match(option))]
