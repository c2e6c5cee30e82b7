"""Show the steps of runs on stderr: a bar on a terminal, plain lines in a pipe."""

import sys
from types import TracebackType
from typing import Any, Self

from harness.cli import screen
from harness.report.text.printable import printable
from harness.report.text.step import step_text
from harness.runs.kind import Step


class Steps:
    """Shows the steps of one run. `name` stands before them where several runs are followed, each at its `position`."""

    def __init__(self, *, name: str = "", position: int = 0, total: int | None = None) -> None:
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

    def show(self, step: Step) -> None:
        """Show one step."""
        if not sys.stderr.isatty():
            named = f"{self._name}: " if self._name else ""
            screen.progress(named + step_text(step))
            return
        if self._bar is None:
            self._bar = self._new_bar(step)
        self._bar.set_postfix_str(step.text, refresh=False)
        self._bar.update(step.number - self._bar.n)

    def print(self, text: str) -> None:
        """Print a line above the bars."""
        print_above_bars(f"{self._name}: {text}" if self._name else text)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _new_bar(self, step: Step) -> Any:
        from tqdm import tqdm

        return tqdm(
            total=self._total or step.total,
            initial=step.number,  # of steps that were there before one looked, no rate can be told
            unit=step.unit,
            desc=self._name or None,
            position=self._position,
            dynamic_ncols=True,
            leave=False,
        )


def print_above_bars(text: str) -> None:
    """Print a line above all bars."""
    if not sys.stderr.isatty():
        screen.progress(text)
        return
    from tqdm import tqdm

    tqdm.write(printable(text), file=sys.stderr)
