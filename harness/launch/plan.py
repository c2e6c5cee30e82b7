"""A launch as text: what would run, before anything is touched."""

import sys
from dataclasses import dataclass

from harness.config.provenance import Resolved
from harness.launch.job import JobSpec, job_spec
from harness.launch.place import Place
from harness.launch.script import render_script


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A job and the script that will run; a dry run prints `script` and ends here."""

    spec: JobSpec
    script: str


def plan_launch(resolved: Resolved, place: Place, *, python: str = sys.executable) -> Launch:
    """The job and its script; touches nothing."""
    spec = job_spec(resolved, place, python=python)
    return Launch(spec=spec, script=render_script(spec))
