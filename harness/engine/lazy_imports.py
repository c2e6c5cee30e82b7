"""Imports made lazy: packages that Megatron imports wherever they are installed, and a job may not need.

Each would cost every rank about a second of its start.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any


def import_megatron() -> None:
    """Import Megatron without WandB, which its timers import, and know only by comparing a writer with it."""
    with _absent("wandb"):
        import megatron.core.timers  # noqa: F401


def install() -> None:
    """Patch how the tokenizer is built. Call it once, when Megatron is imported."""
    from megatron.training import global_vars

    global_vars.build_tokenizer = _without_transformers(global_vars.build_tokenizer)


def show_wandb_to_timers() -> None:
    """Give WandB to the timers if Megatron has imported it as a writer after parsing its arguments."""
    from megatron.core import timers

    timers.wandb = sys.modules.get("wandb")


def _without_transformers(build: Any) -> Any:
    """Wrap the tokenizer's builder so that it does not import transformers where the data are tokens already."""

    @wraps(build)
    def built(args: Any, **options: Any) -> Any:
        if args.tokenizer_type != "NullTokenizer":
            return build(args, **options)
        with _absent("transformers"):
            return build(args, **options)

    return built


@contextmanager
def _absent(package: str) -> Iterator[None]:
    """Inside `with`, the package is as if it were not installed, unless it is imported already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # what makes an import fail, says Python's manual
    try:
        yield
    finally:
        del sys.modules[package]
