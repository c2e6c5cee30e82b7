"""Pickles read as data: no module is imported for them, and nothing but this file's own functions is ever called.

Megatron's checkpoints are pickles: of tensors, of the run's arguments, of torch's own bookkeeping. What a pickle asks
for by name is answered in one of three ways. Containers and the machinery of tensors get a plain container or a
function of ours. Classes of the libraries that such checkpoints carry become `Inert` records of what they were called
with. Anything else is refused by name.
"""

import gc
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from harness.checkpoint.torch_save.memo import refuse_large_memo
from harness.errors import ConfigError

_INERT_PACKAGES = frozenset({"apex", "enum", "megatron", "numpy", "pathlib", "signal", "torch", "transformer_engine"})
_INERT_CLASSES = frozenset(
    {
        *("argparse.Namespace", "types.SimpleNamespace", "io.BytesIO", "_io.BytesIO"),
        *("collections.deque", "collections.Counter", "datetime.timedelta", "builtins.slice", "builtins.complex"),
    }
)
_DTYPES = frozenset(
    {
        *("bfloat16", "float16", "float32", "float64", "complex64", "complex128"),
        *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
        *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bool"),
    }
)
_STORAGES = {
    "BFloat16Storage": "bfloat16",
    "HalfStorage": "float16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
UNTYPED = "untyped"


@dataclass(frozen=True, slots=True)
class DtypeName:
    """A number format by torch's name, such as bfloat16."""

    name: str

    def __str__(self) -> str:
        return f"torch.{self.name}"


@dataclass(frozen=True, slots=True)
class StorageType:
    """The class of a storage: the number format of its elements, `UNTYPED` where it is bytes."""

    dtype: str


class Inert:
    """What stands for an object of a class that is not imported: the class's name and what it was given."""

    __slots__ = ("arguments", "state")
    global_name = ""
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any, **_keywords: Any) -> "Inert":
        made = object.__new__(cls)
        made.arguments, made.state = arguments, None
        return made

    def __init__(self, *_arguments: Any, **_keywords: Any) -> None:
        """Everything was kept by `__new__`."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        """Items of a class derived from dict: none of those that are read here is."""

    def append(self, element: Any) -> None:
        """Elements of a class derived from list: none of those that are read here is."""

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.arguments))
        return f"{self.global_name}({shown})"

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes of the object, where it was pickled by them."""
        return self.state if isinstance(self.state, dict) else {}


class DataUnpickler(pickle.Unpickler):
    """Unpickles data. `where` names the file for messages."""

    def __init__(self, pickled: bytes, where: str) -> None:
        super().__init__(BytesIO(pickled), encoding="latin1")
        self._pickled = pickled
        self.where = where
        self._classes: dict[str, type[Inert]] = {}
        # A bound method, unlike a function or a class of our own, has nothing that a pickle could overwrite.
        self._known: dict[str, Any] = {
            "collections.OrderedDict": OrderedDict,
            "collections.defaultdict": self._default_dict,
            "builtins.set": set,
            "builtins.frozenset": frozenset,
            "builtins.list": list,
            "builtins.tuple": tuple,
            "builtins.dict": dict,
            "builtins.getattr": self._enum_member,
            "builtins.bytearray": self._byte_array,
            "_codecs.encode": self._encode,
            "torch.Size": tuple,
            **self.functions(),
        }

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Further functions that may be asked for, by global name."""
        return {}

    def find_class(self, module: str, name: str, /) -> Any:
        """What stands for `module.name`; refuses what is neither tensor machinery nor a known library's data."""
        full = f"{module}.{name}".replace("__builtin__.", "builtins.")
        if full in self._known:
            return self._known[full]
        if module == "torch" and name in _DTYPES:
            return DtypeName(name)
        if module in ("torch", "torch.storage") and name in ("UntypedStorage", *_STORAGES):
            return StorageType(_STORAGES.get(name, UNTYPED))
        if module.partition(".")[0] in _INERT_PACKAGES or full in _INERT_CLASSES:
            return self._inert_class(full)
        raise ConfigError(
            f"{self.where}: the pickle asks for {full}, which no checkpoint of weights needs; nothing of it was "
            "executed. Do not load this file with other tools; get the checkpoint from its source again"
        )

    def read(self) -> Any:
        """The pickled object; ConfigError where it is damaged or asks for more than data."""
        try:
            refuse_large_memo(self._pickled, self.where)
            with collector_paused():
                return self.load()
        except ConfigError:
            raise
        # A damaged pickle can fail in any way: every instruction takes what the ones before it left.
        except Exception as error:
            message = f"{self.where}: the pickle is damaged ({type(error).__name__}: {error}); copy the file again"
            raise ConfigError(message) from error

    def _inert_class(self, full: str) -> type[Inert]:
        if full not in self._classes:
            self._classes[full] = type(full.rpartition(".")[2], (Inert,), {"__slots__": (), "global_name": full})
        return self._classes[full]

    def _enum_member(self, owner: Any, name: Any) -> Inert:
        """Python 3.11 pickles a member of an enumeration as getattr(class, name)."""
        if not (isinstance(owner, type) and issubclass(owner, Inert) and isinstance(name, str)):
            raise ConfigError(f"{self.where}: the pickle asks for builtins.getattr; nothing of it was executed")
        return owner(name)

    @staticmethod
    def _default_dict(*_factory: Any) -> dict[Any, Any]:
        return {}

    @staticmethod
    def _byte_array(content: bytes | str = b"", encoding: str = "latin1") -> bytes:
        return content.encode("latin1") if isinstance(content, str) else bytes(memoryview(content))

    @staticmethod
    def _encode(text: str, _encoding: str = "latin1") -> bytes:
        """Bytes as protocol 2 writes them."""
        return text.encode("latin1")


def read_pickle(path: Path) -> Any:
    """The object in a pickle file, its classes as `Inert` records."""
    try:
        pickled = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    return DataUnpickler(pickled, str(path)).read()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Run the block without the garbage collector, which takes most of the time among a million live objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def plain(value: Any) -> Any:
    """`value` without `Inert`: the arguments of a run as numbers, texts, lists and mappings."""
    if isinstance(value, Inert):
        return _plain_object(value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(plain(item) for item in value)
    return str(value) if isinstance(value, DtypeName) else value


def _plain_object(value: Inert) -> Any:
    if value.global_name.startswith("pathlib."):
        return "/".join(map(str, value.arguments)).replace("//", "/")
    if value.attributes:
        return {name: plain(item) for name, item in value.attributes.items()}
    return repr(value)
