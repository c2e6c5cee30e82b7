"""`--moe-layer-freq`: equal to Megatron's own reading, and never executed."""

import pytest

from harness.arch.layer_pattern import moe_layer_pattern
from harness.errors import ConfigError


@pytest.mark.parametrize(
    "text",
    ["[0,1,1]", "([0]*3+[1]*58)", "[0]+[1]*5", "([1]*3+[0]*1)*3", "2*[0]+[1]", "[0,]*2", "[0]*(1+2)+[1]", "[1]*2*3"],
)
def test_lists_are_read_as_megatron_reads_them(text: str) -> None:
    arguments = pytest.importorskip("megatron.training.arguments")
    expected = arguments.moe_freq_type(text)
    assert list(moe_layer_pattern(text, len(expected))) == [bool(entry) for entry in expected]


@pytest.mark.parametrize(("frequency", "layers"), [("1", (1, 1, 1, 1)), ("2", (1, 0, 1, 0)), ("3", (1, 0, 0, 1))])
def test_a_number_makes_every_nth_layer_a_mixture(frequency: str, layers: tuple[int, ...]) -> None:
    assert moe_layer_pattern(frequency, 4) == tuple(map(bool, layers))


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1",
        "1.5",
        "",
        "[2]",
        "[0",
        "[[0],1]",
        "__import__('os').getcwd()",
        "[0]*9999999999",
        "[1 for _ in [0]]",
        "[0]-[1]",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="neither a positive whole number nor a list of 0 and 1"):
        moe_layer_pattern(text, 1)


def test_a_pattern_of_another_length_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        moe_layer_pattern("([0]*3+[1]*58)", 60)
    assert str(error.value) == "--moe-layer-freq ([0]*3+[1]*58) describes 61 layers, but --num-layers is 60"
