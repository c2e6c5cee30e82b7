"""Threads that work through a list until it is done, one of them fails, or the user interrupts."""

from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from threading import Event, Thread

_LONGEST_GOODBYE_S = 0.8


class Stopped(Exception):
    """Another thread has failed, or the user wants to stop: this thread ends what it does."""


class StopSign:
    """Raised by one thread, seen by all."""

    def __init__(self) -> None:
        self._event = Event()

    def set(self) -> None:
        """Tell everyone to stop."""
        self._event.set()

    def check(self) -> None:
        """Stopped if anyone told so."""
        if self._event.is_set():
            raise Stopped


def work_through[T](items: Iterable[T], work: Callable[[T, StopSign], None], threads: int) -> None:
    """Call `work` with every item, in order, in so many threads; raise what the first one that fails raises.

    `work` calls `check` often. The threads never outlive the program: one that hangs in a disk is left behind.
    """
    queue: SimpleQueue[T] = SimpleQueue()
    for item in items:
        queue.put(item)
    stop = StopSign()
    ends: SimpleQueue[BaseException | None] = SimpleQueue()
    crew = [Thread(target=_work, args=(queue, work, stop, ends), daemon=True) for _ in range(threads)]
    try:
        for thread in crew:
            thread.start()
        errors = [error for error in (ends.get() for _ in crew) if error and not isinstance(error, Stopped)]
    except BaseException:
        stop.set()
        for thread in crew:
            thread.join(_LONGEST_GOODBYE_S / threads)
        raise
    if errors:
        raise errors[0]


def _work[T](
    queue: SimpleQueue[T],
    work: Callable[[T, StopSign], None],
    stop: StopSign,
    ends: SimpleQueue[BaseException | None],
) -> None:
    """One thread: its last word is None or what it failed with."""
    try:
        while True:
            stop.check()
            work(queue.get_nowait(), stop)
    except Empty:
        ends.put(None)
    except BaseException as error:  # handed to the thread that waits
        stop.set()
        ends.put(error)
