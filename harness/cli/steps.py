"""Training steps as they come, on stderr: a bar on a terminal, plain lines in a pipe."""

import sys
from types import TracebackType
from typing import Any, Self

from harness.cli import screen
from harness.report.text.printable import printable
from harness.training.log.samples import StepSample
from harness.units import show_seconds


class Steps:
    """Shows the steps of one run. `name` stands before them where several runs are followed, each at its `position`."""

    def __init__(self, *, name: str = "", position: int = 0, total: int = 0) -> None:
        self._name = name
        self._position = position
        self._total = total
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def show(self, sample: StepSample) -> None:
        """One step."""
        if not sys.stderr.isatty():
            named = f"{self._name}: " if self._name else ""
            screen.progress(named + step_words(sample))
            return
        if self._bar is None:
            self._bar = self._new_bar(sample)
        self._bar.set_postfix_str(_figures(sample), refresh=False)
        self._bar.update(sample.iteration - self._bar.n)

    def say(self, text: str) -> None:
        """A line above the bars."""
        say_above_bars(f"{self._name}: {text}" if self._name else text)

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _new_bar(self, sample: StepSample) -> Any:
        from tqdm import tqdm

        return tqdm(
            total=self._total or sample.train_iters,
            initial=sample.iteration,  # of steps that were there before one looked, no rate can be told
            unit="step",
            desc=self._name or None,
            position=self._position,
            dynamic_ncols=True,
            leave=False,
        )


def say_above_bars(text: str) -> None:
    """A line above all bars, whichever there are."""
    if not sys.stderr.isatty():
        screen.progress(text)
        return
    from tqdm import tqdm

    tqdm.write(printable(text), file=sys.stderr)


def step_words(sample: StepSample) -> str:
    """One step: `step 3/50  loss 8.1234  27.2 s  310.1 TFLOP/s/GPU  1,204 tokens/s/GPU`."""
    return f"step {sample.iteration}/{sample.train_iters}  {_figures(sample)}"


def _figures(sample: StepSample) -> str:
    figures = [] if sample.loss is None else [f"loss {sample.loss:.4f}"]
    figures.append(show_seconds(sample.step_s))
    if sample.tflops_per_gpu:
        figures.append(f"{sample.tflops_per_gpu:,.1f} TFLOP/s/GPU")
    if sample.tokens_per_s_per_gpu:
        figures.append(f"{sample.tokens_per_s_per_gpu:,.0f} tokens/s/GPU")
    return "  ".join(figures)
