"""The golden files' switch."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/launch --regenerate-golden` writes the golden files anew."""
    parser.addoption("--regenerate-golden", action="store_true", help="write tests/golden anew, to be read in the diff")


@pytest.fixture
def regenerate(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written rather than compared."""
    return bool(request.config.getoption("--regenerate-golden", default=False))
