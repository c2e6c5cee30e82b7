"""Compare two checkpoints and show the differences."""

import sys
from pathlib import Path

import click

from ckpt_convert.verify import verify
from ckpt_convert.writing.progress import progress_on
from harness.cli import screen
from harness.units import show_bytes

SHOWN = 20


def verify_folders(source: Path, target: Path, *, logits: bool, threads: int) -> int:
    """Print what was compared; the exit code is 1 where anything differs."""
    verdict = verify(source, target, threads=threads, progress=progress_on(sys.stderr))
    for text in verdict.differences[:SHOWN]:
        screen.error(text)
    if (more := len(verdict.differences) - SHOWN) > 0:
        screen.error(f"… and {more} more")
    if verdict.differences:
        return 1
    hashed = (
        f"{verdict.hashed.files} files have their SHA-256" if verdict.hashed else "the target has no integrity.json"
    )
    click.echo(f"equal: {verdict.tensors} tensors, {show_bytes(verdict.size_bytes)}; {hashed}")
    return _compare_logits(source, target) if logits else 0


def _compare_logits(source: Path, target: Path) -> int:
    from ckpt_convert.logits import TOLERANCE, compare_logits

    verdict = compare_logits(source, target)
    message = f"logits differ by at most {verdict.difference:.2e}, the largest is {verdict.largest:.2f}"
    if verdict.same:
        click.echo(f"{message}: equal within {TOLERANCE:g}")
        return 0
    screen.error(f"{message}; allowed: {TOLERANCE:g} of it")
    return 1
