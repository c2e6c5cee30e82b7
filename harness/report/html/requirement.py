"""What pages need beyond the command itself."""

from importlib.util import find_spec

from harness.errors import EnvironmentProblem


def require_pages(what: str) -> None:
    """EnvironmentProblem where what makes pages is not installed; `what` needs it."""
    if find_spec("jinja2") is None:
        raise EnvironmentProblem(
            f"{what} needs Jinja2; run tools/setup.sh report in a checkout, or pip install 'moe-harness[report]'"
        )
