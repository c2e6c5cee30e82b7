"""A disk that takes SLOW_WRITES_S for every write, for processes that have this folder on PYTHONPATH."""

import os
import time

_write = os.write


def _write_slowly(descriptor: int, data: bytes) -> int:
    time.sleep(float(os.environ.get("SLOW_WRITES_S", "0")))
    return _write(descriptor, data)


os.write = _write_slowly
