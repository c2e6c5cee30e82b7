"""What every entry point of a rank does: check Megatron, install CPU ranks where there is no GPU, end the process."""

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from harness.config.release import EMBEDDED_RELEASE
from harness.engine import lazy_imports
from harness.errors import EnvironmentProblem, HarnessError


def run(work: Callable[[], None]) -> None:
    """Do a rank's work, and end the process: 0, 2 for a user's mistake, 1 with this rank's traceback for all else."""
    try:
        _require_megatron()
        work()
    except HarnessError as error:
        _end(str(error), error.exit_code)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException:  # torch's CheckpointException is no Exception
        _end(traceback.format_exc(), 1)


def install_device() -> bool:
    """Make this process a CPU rank if there is no GPU, and import Megatron; say whether it is one."""
    # Megatron says so a dozen times a rank; the engine is for where they are not installed.
    warnings.filterwarnings("ignore", message=".*(Apex (is|are) not installed|Only transformer-engine)")
    import torch

    on_cpu = not torch.cuda.is_available()
    if on_cpu:
        from harness.engine.device import install_cpu_ranks

        install_cpu_ranks()
    lazy_imports.import_megatron()
    return on_cpu


def _require_megatron() -> None:
    try:
        found = version("megatron-core")
    except PackageNotFoundError:
        raise EnvironmentProblem(
            f"engine: megatron-core is not installed; it needs {EMBEDDED_RELEASE}: pip install 'moe-harness[engine]'"
        ) from None
    if not found.startswith(f"{EMBEDDED_RELEASE}."):
        raise EnvironmentProblem(f"engine: megatron-core {found} is installed; it needs {EMBEDDED_RELEASE}")


def _end(message: str, exit_code: int) -> None:
    """Print why, and end at once: an ordinary exit would wait for the other ranks' collectives."""
    sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)
    os._exit(exit_code)
