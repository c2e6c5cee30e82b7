"""Pickles are data: what would run code is refused by name, and nothing of it runs."""

import argparse
import builtins
import collections
import functools
import io
import os
import pathlib
import pickle
import shutil
import signal
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from megatron.core.enums import ModelType

from harness.checkpoint.torch_save.restricted_pickle import DataUnpickler, Inert, plain, read_pickle
from harness.errors import ConfigError


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self._reduced = (function, arguments, state) if state is not None else (function, arguments)

    def __reduce__(self) -> Any:
        return self._reduced


def read(content: Any, protocol: int = 2) -> Any:
    """What comes back of an object."""
    return DataUnpickler(pickle.dumps(content, protocol), "here").read()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "posix.system"),
        (shutil.rmtree, "shutil.rmtree"),
        (builtins.exec, "builtins.exec"),
        (pathlib.os.mkdir, "posix.mkdir"),
        (functools.partial, "functools.partial"),
        (builtins.__import__, "builtins.__import__"),
        (collections.namedtuple, "collections.namedtuple"),
    ],
)
def test_code_is_refused_and_not_run(tmp_path: Path, function: Any, name: str, protocol: int) -> None:
    """The message names the file, the function asked for, and that nothing was executed."""
    trace = tmp_path / "trace"
    for word in (f"touch {trace}", f"open({str(trace)!r}, 'w')"):
        path = tmp_path / "model_optim_rng.pt"
        path.write_bytes(pickle.dumps({"args": Call(function, word)}, protocol))
        with pytest.raises(ConfigError) as error:
            read_pickle(path)
        assert f"{path}: the pickle asks for {name}, " in str(error.value)
        assert "nothing of it was executed" in str(error.value)
    assert not trace.exists()


def test_the_same_pickle_does_run_in_pickle(tmp_path: Path) -> None:
    """The attack of the test above is a real one."""
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(Call(os.mkdir, str(trace))))
    assert trace.exists()


def test_library_functions_are_never_called(tmp_path: Path) -> None:
    """A function of a library whose classes are known stays a name with arguments."""
    trace = tmp_path / "trace"
    found = read([Call(torch.save, [1], str(trace)), Call(np.save, str(trace), 1)])
    assert not trace.exists()
    assert [made.global_name for made in found] == ["torch.serialization.save", "numpy.save"]
    assert found[0].arguments == ([1], str(trace))


@pytest.mark.parametrize("owner", ["text", 5, OrderedDict, torch.bfloat16])
def test_getattr_reaches_no_object(owner: Any) -> None:
    """Only a member of an enumeration is ever meant by it."""
    with pytest.raises(ConfigError, match=r"asks for builtins\.getattr; nothing of it was executed"):
        read(Call(getattr, owner, "__class__"))


def test_members_of_enumerations() -> None:
    """By value, by name as Python 3.11 writes them, and by the name of the module's constant."""
    by_value, by_name = read([ModelType.encoder_or_decoder, Call(getattr, ModelType, "encoder_or_decoder")])
    assert repr(by_value) == f"megatron.core.enums.ModelType({ModelType.encoder_or_decoder.value!r})"
    assert repr(by_name) == "megatron.core.enums.ModelType('encoder_or_decoder')"
    assert plain({"signal": read(signal.SIGTERM)})["signal"].startswith("signal.")


def test_a_pickle_cannot_change_what_stands_for_its_classes() -> None:
    """State for a class or a function, rather than for an object, is refused or falls on the ground."""
    before = dict(vars(Inert))
    for target in (torch.device, torch.Size, OrderedDict, torch._utils._rebuild_tensor_v2, getattr):
        state = Call(argparse.Namespace), {"global_name": "os.system", "__init__": None, "__defaults__": (1,)}
        pickled = pickle.dumps(target, 2)[:-1] + pickle.dumps(state, 2)[2:-1] + pickle.BUILD + pickle.STOP
        try:
            DataUnpickler(pickled, "here").read()
        except ConfigError as error:
            assert "the pickle is damaged" in str(error)
        assert read(torch.device("cpu")).global_name == "torch.device"
    assert dict(vars(Inert)) == before


def test_arguments_of_a_run_become_plain_values() -> None:
    """Namespaces, dtypes, paths, devices and enumerations as Megatron's arguments hold them."""

    args = argparse.Namespace(
        params_dtype=torch.bfloat16, save=pathlib.PurePosixPath("/a/b"), sizes=[1, (2, 3)], nested={"x": {4}}, none=None
    )
    found = read(args)
    assert found.global_name == "argparse.Namespace"
    assert plain(dict(found.attributes)) == {
        "params_dtype": "torch.bfloat16",
        "save": "/a/b",
        "sizes": [1, (2, 3)],
        "nested": {"x": {4}},
        "none": None,
    }


@pytest.mark.parametrize("protocol", [2, 4])
def test_containers_and_states_of_generators(protocol: int) -> None:
    """What optimizer and random states hold comes back, or as records, without numpy and torch."""
    state = {
        "set": {1, 2},
        "bytes": b"\x00\xff",
        "array": bytearray(b"ab"),
        "ordered": OrderedDict(a=1),
        "default": defaultdict(list, {1: [2]}),
        "numpy": np.random.get_state(),
        "size": torch.Size([2, 3]),
        "stream": io.BytesIO(b"abc"),
        "generator": np.random.default_rng(0),
    }
    found = read(state, protocol)
    assert found["set"] == {1, 2}
    assert found["bytes"] == b"\x00\xff"
    assert found["array"] == b"ab"
    assert found["ordered"] == {"a": 1}
    assert found["default"] == {1: [2]}
    assert found["size"] == (2, 3)
    assert isinstance(found["stream"], Inert)


@settings(max_examples=300)
@given(st.integers(min_value=0), st.integers(0, 255), st.integers(0, 400))
def test_a_damaged_pickle_is_a_message(position: int, value: int, cut: int) -> None:
    """Whatever byte is changed and wherever it ends: an object, or a ConfigError; never another error."""
    pickled = bytearray(
        pickle.dumps({"args": argparse.Namespace(a=1, b=[torch.float16]), "set": {1}, "d": {"x": 2.0}}, 4)
    )
    pickled[position % len(pickled)] = value
    try:
        DataUnpickler(bytes(pickled[: len(pickled) - cut % 3]), "here").read()
    except ConfigError as error:
        assert str(error).startswith("here: ")


@pytest.mark.parametrize("put", [b"r\xff\xff\xff\x0f", b"p268435455\n"])
def test_a_pickle_cannot_ask_for_room_that_it_does_not_need(put: bytes) -> None:
    """Python's unpickler would take 4 GB for this number of an object; after a text, a name and a list as well."""
    before = pickle.dumps([torch.float16, "r" * 300, b"p" * 20], 2)[:-1]
    with pytest.raises(ConfigError, match=r"here: the pickle is damaged \(object 268435455 in \d+ bytes\)"):
        DataUnpickler(before + put + pickle.STOP, "here").read()


@pytest.mark.parametrize("protocol", range(6))
def test_numbers_of_many_objects_are_no_damage(protocol: int) -> None:
    """More than a byte can count, by the opcodes of every protocol, among numbers and text of all sizes."""
    content = [f"text {number}" for number in range(700)] + [
        1 << 90,
        -1,
        2.5,
        b"\xff" * 300,
        "x\ny" * 100,
        None,
        {1: ()},
    ]
    assert DataUnpickler(pickle.dumps(content, protocol), "here").read() == content
