"""Steps as they come: a bar on a terminal, plain lines in a pipe."""

import sys
from types import TracebackType
from typing import Any, Self

from harness.cli import screen
from harness.results.log_parser import LogParser
from harness.results.samples import StepSample
from harness.units import show_seconds


class Follower:
    """Feeds the ranks' lines to a parser and shows each step on stderr."""

    def __init__(self, parser: LogParser, *, total: int) -> None:
        self._parser = parser
        self._total = total
        self._bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self._total, unit="step", dynamic_ncols=True, leave=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def feed(self, line: str) -> None:
        """One line of the log."""
        sample = self._parser.feed(line)
        if sample is None:
            return
        if self._bar is None:
            screen.progress(f"step {sample.iteration}/{self._total}  {_figures(sample)}")
        else:
            self._bar.set_postfix_str(_figures(sample), refresh=False)
            self._bar.update(sample.iteration - self._bar.n)


def _figures(sample: StepSample) -> str:
    figures = [] if sample.loss is None else [f"loss {sample.loss:.4f}"]
    figures.append(show_seconds(sample.step_s))
    if sample.tokens_per_s_per_gpu:
        figures.append(f"{sample.tokens_per_s_per_gpu:,.0f} tokens/s/GPU")
    return "  ".join(figures)
