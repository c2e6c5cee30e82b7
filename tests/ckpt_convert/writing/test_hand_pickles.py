"""Pickles written by hand are what pickle reads."""

import argparse
import pickle
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_convert.writing.pickles import Call, Global, Instance, Pairs, pickled

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
plain = st.recursive(
    scalars,
    lambda values: (
        st.lists(values) | st.lists(values).map(tuple) | st.dictionaries(st.text() | st.integers(), values, max_size=5)
    ),
    max_leaves=30,
)


@given(plain)
def test_plain_data_returns_as_it_was(value: object) -> None:
    returned = pickle.loads(pickled(value))
    assert returned == value
    assert repr(returned) == repr(value)  # True is not 1, 0.0 is not -0.0


def test_more_strings_than_one_byte_numbers() -> None:
    """Beyond 256 remembered strings the instruction is another one."""
    value = [f"name {index}" for index in range(600)] * 2
    assert pickle.loads(pickled(value)) == value
    assert len(pickled(value)) < 600 * 25


def test_objects_by_their_class_and_state() -> None:
    namespace = Instance(Global("argparse", "Namespace"), {"layers": 2, "names": ["a"]})
    ordered = Call(Global("collections", "OrderedDict"), ([("b", 1), ("a", 2)],))
    pairs = Pairs((number, str(number)) for number in range(3))
    found = pickle.loads(pickled([namespace, ordered, pairs]))
    assert found == [argparse.Namespace(layers=2, names=["a"]), OrderedDict(b=1, a=2), {0: "0", 1: "1", 2: "2"}]


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match=r"range\(0, 3\) is a range: only plain data"):
        pickled({"args": [range(3)]})
