"""Pickles put together by hand, so that objects of torch can be written without torch.

Protocol 2 throughout: it is what torch.save writes, and all that torch's weights-only reader understands. Strings and
globals are memoised; nothing else needs to be, since no object written here is shared.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Global(NamedTuple):
    """A class or function, by the name it is imported by."""

    module: str
    name: str


class Call(NamedTuple):
    """What a function returns for these arguments."""

    function: Global
    arguments: tuple[object, ...]


class Instance(NamedTuple):
    """An object of a class, made without its constructor and given this state."""

    cls: Global
    state: object


class PersistentId(NamedTuple):
    """An object that the reader finds elsewhere, such as a tensor's storage."""

    identity: object


class Pairs(NamedTuple):
    """A dictionary, given as its items; they may be generated while they are written."""

    items: Iterable[tuple[object, object]]


def pickled(value: object) -> bytes:
    """The pickle of plain data and of the nodes above; TypeError for anything else."""
    emitter = _Emitter()
    emitter.emit(value)
    return bytes(emitter.out + b".")


class _Emitter:
    """The bytes so far, and which strings and globals the reader remembers under which number."""

    def __init__(self) -> None:
        self.out = bytearray(b"\x80\x02")
        self._memo: dict[object, bytes] = {}

    def emit(self, value: Any) -> None:
        """Append the instructions that leave `value` on the reader's stack."""
        write = _WRITERS.get(type(value))
        if write is None:
            raise TypeError(f"{value!r} is a {type(value).__name__}: only plain data can be stored in a checkpoint")
        write(self, value)

    def constant(self, value: bool | None) -> None:
        self.out += {None: b"N", True: b"\x88", False: b"\x89"}[value]

    def integer(self, value: int) -> None:
        if 0 <= value < 256:
            self.out += b"K%c" % value
        elif -(2**31) <= value < 2**31:
            self.out += struct.pack("<ci", b"J", value)
        else:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self.out += b"\x8a%c" % len(raw) + raw

    def real(self, value: float) -> None:
        self.out += struct.pack(">cd", b"G", value)

    def text(self, value: str) -> None:
        if not self._recall(value):
            raw = value.encode()
            self.out += struct.pack("<cI", b"X", len(raw)) + raw
            self._remember(value)

    def sequence(self, value: tuple[object, ...]) -> None:
        self.out += b"("
        for item in value:
            self.emit(item)
        self.out += b"t"

    def list(self, value: list[object]) -> None:
        self.out += b"]"
        for item in value:
            self.emit(item)
            self.out += b"a"

    def pairs(self, value: Pairs) -> None:
        self.out += b"}"
        for key, item in value.items:
            self.emit(key)
            self.emit(item)
            self.out += b"s"

    def dictionary(self, value: dict[object, object]) -> None:
        self.pairs(Pairs(value.items()))

    def named(self, value: Global) -> None:
        if not self._recall(value):
            self.out += f"c{value.module}\n{value.name}\n".encode()
            self._remember(value)

    def call(self, value: Call) -> None:
        self.named(value.function)
        self.sequence(value.arguments)
        self.out += b"R"

    def instance(self, value: Instance) -> None:
        self.named(value.cls)
        self.out += b")\x81"
        self.emit(value.state)
        self.out += b"b"

    def persistent_id(self, value: PersistentId) -> None:
        self.emit(value.identity)
        self.out += b"Q"

    def _recall(self, value: object) -> bool:
        """Whether the reader remembers `value`; if so, it takes it from there."""
        known = self._memo.get(value)
        if known:
            self.out += known
        return known is not None

    def _remember(self, value: object) -> None:
        number = len(self._memo)
        raw = struct.pack("<I", number)
        self.out += b"q%c" % number if number < 256 else b"r" + raw
        self._memo[value] = b"h%c" % number if number < 256 else b"j" + raw


_WRITERS: dict[type, Callable[[_Emitter, Any], None]] = {
    type(None): _Emitter.constant,
    bool: _Emitter.constant,
    int: _Emitter.integer,
    float: _Emitter.real,
    str: _Emitter.text,
    tuple: _Emitter.sequence,
    list: _Emitter.list,
    dict: _Emitter.dictionary,
    Pairs: _Emitter.pairs,
    Global: _Emitter.named,
    Call: _Emitter.call,
    Instance: _Emitter.instance,
    PersistentId: _Emitter.persistent_id,
}
