"""A pool of threads that works through a list until it is done, one thread fails, or the user interrupts."""

from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from threading import Event, Thread

_JOIN_TIMEOUT_S = 0.8


class Stopped(Exception):
    """Another thread has failed, or the user wants to stop: this thread ends its work."""


class StopSign:
    """One thread sets it, all threads see it."""

    def __init__(self) -> None:
        self._event = Event()

    def set(self) -> None:
        """Tell all threads to stop."""
        self._event.set()

    def check(self) -> None:
        """Raise Stopped if the sign is set."""
        if self._event.is_set():
            raise Stopped


def for_each[T](items: Iterable[T], work: Callable[[T, StopSign], None], threads: int) -> None:
    """Call `work` with every item, in order, in so many threads; raise what the first thread that fails raises.

    `work` calls `check` often. The threads never outlive the program: one that hangs in a disk is left behind.
    """
    queue: SimpleQueue[T] = SimpleQueue()
    for item in items:
        queue.put(item)
    stop = StopSign()
    outcomes: SimpleQueue[BaseException | None] = SimpleQueue()
    workers = [Thread(target=_work, args=(queue, work, stop, outcomes), daemon=True) for _ in range(threads)]
    try:
        for worker in workers:
            worker.start()
        errors = [error for error in (outcomes.get() for _ in workers) if error and not isinstance(error, Stopped)]
    except BaseException:
        stop.set()
        for worker in workers:
            worker.join(_JOIN_TIMEOUT_S / threads)
        raise
    if errors:
        raise errors[0]


def _work[T](
    queue: SimpleQueue[T],
    work: Callable[[T, StopSign], None],
    stop: StopSign,
    outcomes: SimpleQueue[BaseException | None],
) -> None:
    """One thread. Its outcome is None, or the error with which it ended."""
    try:
        while True:
            stop.check()
            work(queue.get_nowait(), stop)
    except Empty:
        outcomes.put(None)
    except BaseException as error:  # handed to the thread that waits
        stop.set()
        outcomes.put(error)
