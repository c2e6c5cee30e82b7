"""The numbers under which a pickle stores objects for later use, looked at before it is read.

Python's unpickler makes room for the largest number that it meets, 16 bytes for each below it: one changed byte in a
small file would take all memory of the machine.
"""

import pickletools
import re
from collections.abc import Mapping

from harness.errors import ConfigError

_STOP, _PUT, _LONG_BINPUT = ord("."), ord("p"), ord("r")
_OPCODES = {ord(it.code): it.arg for it in pickletools.opcodes}
_LINES: Mapping[int, int] = {
    code: 2 if arg.name.endswith("_pair") else 1
    for code, arg in _OPCODES.items()
    if arg is not None and arg.n == pickletools.UP_TO_NEWLINE
}
"""Opcodes that are followed by text, and how many lines."""

_LENGTH_SIZES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_PREFIXED: Mapping[int, int] = {
    code: _LENGTH_SIZES[arg.n] for code, arg in _OPCODES.items() if arg is not None and arg.n in _LENGTH_SIZES
}
"""Opcodes that are followed by a length and so many bytes, and how many bytes the length has."""


def _fixed_opcodes() -> re.Pattern[bytes]:
    """As many opcodes as possible whose size is fixed, but for the end of the pickle and large numbers of objects."""
    alternatives = [b"r..[\x00-\x0f]\x00"]  # below 2²⁰ a number takes 16 MB at most, and speed counts
    for code, arg in _OPCODES.items():
        size = 0 if arg is None else arg.n
        if size >= 0 and code not in (_STOP, _LONG_BINPUT):
            alternatives.append(re.escape(bytes([code])) + b"." * size)
    return re.compile(b"(?:" + b"|".join(alternatives) + b")*+", re.DOTALL)


_FIXED = _fixed_opcodes()


def refuse_large_memo(pickled: bytes, where: str) -> None:
    """ConfigError, starting with `where`, if a pickle numbers an object higher than it can have objects.

    A pickle that is damaged in another way is left to the unpickler, which stops where this function does.
    """
    position = 0
    while (run := _FIXED.match(pickled, position)) and (position := run.end()) < len(pickled):
        code = pickled[position]
        if code == _LONG_BINPUT:
            number, end = int.from_bytes(pickled[position + 1 : position + 5], "little"), position + 5
        elif code == _PUT:
            end = _end_of_lines(pickled, position + 1, 1)
            number = _number(pickled[position + 1 : end])
        elif code in _LINES:
            number, end = 0, _end_of_lines(pickled, position + 1, _LINES[code])
        elif code in _PREFIXED:
            data = position + 1 + _PREFIXED[code]
            number, end = 0, data + int.from_bytes(pickled[position + 1 : data], "little")
        else:
            return
        if number > position:
            raise ConfigError(f"{where}: the pickle is damaged (object {number} in {position} bytes); copy it again")
        position = end


def _end_of_lines(pickled: bytes, position: int, count: int) -> int:
    """The byte after so many lines, or after the last byte where there are fewer."""
    for _ in range(count):
        position = pickled.find(b"\n", position) + 1 or len(pickled)
    return position


def _number(line: bytes) -> int:
    """The number in a line; 0 where it holds none."""
    try:
        return int(line)
    except ValueError:
        return 0
