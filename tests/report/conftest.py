"""What tests of pages share: a browser, installed where it is missing and can be."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import PROGRAM, Chromium


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser for all tests; without one what needs it is skipped, and CHROMIUM_REQUIRED=1 makes that a failure."""
    without = pytest.fail if os.environ.get("CHROMIUM_REQUIRED") else pytest.skip
    if not shutil.which(PROGRAM):
        tool = Path(__file__).parents[2] / "tools/chromium.sh"
        installed = subprocess.run([tool, "install"], capture_output=True, text=True)
        if installed.returncode != 0:
            without(f"Chromium is missing: {installed.stderr.strip().splitlines()[-1]}")
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser
