"""How the jobs of a sweep are made to wait for one another."""

import pytest

from harness.errors import ConfigError
from harness.launch.slurm.lanes import lane_options, require_joinable
from harness.launch.slurm.sbatch_args import split_sbatch_args


@pytest.mark.parametrize(
    ("sbatch_args", "dependency"),
    [
        ("", "singleton"),
        ("--qos=high --exclude node7", "singleton"),
        ("--dependency=afterok:12", "afterok:12,singleton"),
        ("--dependency afterok:12:13", "afterok:12:13,singleton"),
        ("-d afterany:12,afterok:13", "afterany:12,afterok:13,singleton"),
        ("-dafterok:12", "afterok:12,singleton"),
    ],
)
def test_a_lane_joins_the_dependency_that_was_asked_for(sbatch_args: str, dependency: str) -> None:
    assert lane_options("EP-1a", 2, split_sbatch_args(sbatch_args)) == (
        "--job-name=EP-1a.2",
        f"--dependency={dependency}",
    )


def test_a_lane_cannot_join_an_either_or() -> None:
    with pytest.raises(ConfigError, match=r"^--max-jobs makes jobs wait .* 'afterok:1\?afterok:2' in SBATCH_ARGS"):
        require_joinable(("--dependency=afterok:1?afterok:2",))
