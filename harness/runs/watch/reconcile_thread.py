"""Slurm asked about runs in a thread of its own: while its controller is down an answer takes a quarter of a minute."""

import threading
import time
from collections.abc import Sequence

from harness.runs.reconcile.reconcile import Reconciled, reconcile_all
from harness.runs.store import StoredRun

_SOON_S = 1.0
_LAST_ANSWER_S = 3.0


class ReconcileThread:
    """Reconciles runs in a thread, every `every_s`; `soon`, which may be set at any time, makes it ask earlier."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self.soon = False
        self._wanted = threading.Event()
        self._answered = threading.Event()
        self._closed = threading.Event()
        self._runs: Sequence[StoredRun] = ()
        self._reconciled: Reconciled | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self._asked = False

    def answer(self, runs: Sequence[StoredRun], *, wait_s: float) -> Reconciled | None:
        """The next answer, if it comes within `wait_s`; its runs are those of the call that asked for it."""
        if not self._asked:
            self._runs, self._asked = runs, True
            self._wanted.set()
        if not self._answered.wait(wait_s):
            return None
        self._answered.clear()
        self._asked = False
        if self._error:
            raise self._error
        return self._reconciled

    def close(self) -> None:
        """Lets a call that is under way come to its end, so that no record is left half written."""
        self._closed.set()
        self._wanted.set()
        self._thread.join(_LAST_ANSWER_S)

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closed.is_set():
                return
            try:
                self._reconciled = reconcile_all(self._runs)
            except Exception as error:  # raised where it can be seen
                self._error = error
            self._answered.set()
            self._rest()

    def _rest(self) -> None:
        ends = time.monotonic() + self._every_s
        while (left_s := ends - time.monotonic()) > 0 and not self._closed.wait(min(left_s, _SOON_S)):
            if self.soon:
                return
