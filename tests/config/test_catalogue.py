"""The shipped catalogues, and the check of a value against an option."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.megatron_args import ArgValue
from harness.config.releases import EMBEDDED_RELEASE, Catalogue, Option, Release, check, known, load
from harness.config.releases.layer_pattern import layer_pattern
from harness.errors import ConfigError

_NEWEST = load("0.19")
_SWITCH_HELP = ": write true, or false to leave it out"
_PATTERN_HELP = "a whole number or a list such as ([0]*1+[1]*26), without spaces"
_DISPATCHERS = "allgather, alltoall, flex"
_COUNTS = {
    "0.11": ("0.11.0", 407),
    "0.12": ("0.12.3", 456),
    "0.13": ("0.13.1", 502),
    "0.14": ("0.14.0", 514),
    "0.15": ("0.15.3", 575),
    "0.16": ("0.16.1", 680),
    "0.17": ("0.17.1", 735),
    "0.18": ("0.18.2", 785),
    "0.19": ("0.19.2", 845),
}


def _found(flag: str, value: ArgValue, catalogue: Catalogue = _NEWEST) -> str | None:
    option = catalogue.option(flag)
    assert option is not None, flag
    return check(option, value)


def test_every_release_is_there_and_whole() -> None:
    assert tuple(map(str, known())) == tuple(_COUNTS)
    assert {str(it): (load(it).version, len(load(it).options)) for it in known()} == _COUNTS


@pytest.mark.parametrize(
    ("written", "release"),
    [
        ("0.19", "0.19.2"),
        ("0.19.2", "0.19.2"),
        ("core_r0.15.0", "0.15.3"),
        ("core_v0.16.1", "0.16.1"),
        ("v0.11", "0.11.0"),
    ],
)
def test_releases_as_users_write_them(written: str, release: str) -> None:
    assert load(written).version == release
    assert load(written) is load(release), "a release is read once"


@pytest.mark.parametrize("written", ["0.20", "main", "", "0.1", "19", "../0.19"])
def test_an_unknown_release_names_the_known_ones(written: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written)
    assert str(caught.value) == (
        f"Megatron release {written!r}: there is no catalogue of its options; "
        "known: 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17, 0.18, 0.19"
    )


def test_options_differ_between_releases_as_their_history_says() -> None:
    first = {
        flag: next(it for it in known() if load(it).option(flag))
        for flag in ("--moe-enable-deepep", "--pipeline-model-parallel-layout", "--moe-router-fusion")
    }
    assert first == {
        "--moe-enable-deepep": Release(0, 12),
        "--pipeline-model-parallel-layout": Release(0, 13),
        "--moe-router-fusion": Release(0, 14),
    }
    assert [it for it in known() if load(it).option("--moe-extended-ep")] == []
    assert [it for it in known() if load(it).option("--moe-extended-tp")][-1] == Release(0, 16)


def test_nearest_names() -> None:
    assert _NEWEST.option("--num-expert") is None
    assert _NEWEST.nearest("--num-expert").startswith("did you mean --num-experts")


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--num-experts", "64"),
        ("--num-experts", False),
        ("--lr", "1e-4"),
        ("--swiglu", True),
        ("--swiglu", False),
        ("--no-rope-fusion", True),
        ("--no-rl-partial-rollouts", True),
        ("--moe-layer-freq", "2"),
        ("--moe-layer-freq", "([0]*1+[1]*26)"),
        ("--attention-backend", "flash"),
        ("--exit-signal", "SIGTERM"),
        ("--timing-log-level", "2"),
        ("--rampup-batch-size", ("16", "8", "1000")),
        ("--data-path", True),
        ("--data-path", ("30", "a", "70", "b")),
        ("--recompute-modules", "mla_up_proj"),
        ("--moe-token-dispatcher-type", "flex"),
        ("--eval-iters", "-1"),
        ("--wandb-exp-name", "a b $(c) 'd'\n"),
        ("--wandb-exp-name", ""),
        ("--window-size", "(128,0)"),
    ],
)
def test_values_that_are_right(flag: str, value: ArgValue) -> None:
    assert _found(flag, value) is None


@pytest.mark.parametrize(
    ("flag", "value", "problem"),
    [
        ("--num-experts", "two", " takes a whole number; found 'two'"),
        ("--num-experts", "1.5", " takes a whole number; found '1.5'"),
        ("--num-experts", True, " needs a value"),
        ("--num-experts", ("1", "2"), " takes one value; found 2"),
        ("--lr", "fast", " takes a number; found 'fast'"),
        ("--swiglu", "yes", f" takes no value; found 'yes'{_SWITCH_HELP}"),
        ("--no-rl-partial-rollouts", ("a", "b"), f" takes no value; found 'a b'{_SWITCH_HELP}"),
        ("--rampup-batch-size", ("16", "8"), " needs exactly 3 values; found 2"),
        ("--recompute-modules", True, " needs at least one value"),
        ("--moe-layer-freq", "[0]+x", f" takes {_PATTERN_HELP}; found '[0]+x'"),
        ("--timing-log-level", "3", " takes one of 0, 1, 2; found '3'"),
        (
            "--moe-token-dispatcher-type",
            "altoall",
            f" takes one of {_DISPATCHERS}; found 'altoall'",
        ),
        ("--attention-backend", "cudnn", " takes one of flash, fused, unfused, local, auto; found 'cudnn'"),
        ("--exit-signal", "15", " takes a name such as SIGTERM; found '15'"),
        ("--window-size", "wide", " takes whole numbers between commas, such as 128,0; found 'wide'"),
        ("--load", "--save", ": Megatron's parser takes '--save' for another flag, not for a value"),
        ("--lr", "-1e-5", ": Megatron's parser takes '-1e-5' for another flag, not for a value"),
    ],
)
def test_values_that_are_wrong(flag: str, value: ArgValue, problem: str) -> None:
    assert _found(flag, value) == flag + problem


def test_a_word_that_looks_false_is_no_boolean() -> None:
    old = load("0.11")
    assert _found("--onnx-safe", "True", old) is None
    assert _found("--onnx-safe", "False", old) == (
        "--onnx-safe takes only true (the parser reads any other text as true, too: leave the flag out instead); "
        "found 'False'"
    )


def test_every_default_passes_its_own_check() -> None:
    """Defaults are what Megatron itself uses, so a refused one would be our mistake."""
    options = [option for it in known() for option in load(it).options.values()]
    refused = [option.flag for option in options if (words := _as_written(option)) and check(option, words)]
    assert refused == []


def _as_written(option: Option) -> ArgValue | None:
    """An option's default as a user would write it; None for what has no such form."""
    if option.is_switch or option.default is None or option.flag == "--exit-signal":
        return None
    if isinstance(option.default, list):
        return tuple(map(str, option.default))
    return str(option.default).removeprefix("AttnBackend.")


@given(st.recursive(
    st.lists(st.integers(0, 9), max_size=4).map(lambda numbers: f"[{','.join(map(str, numbers))}]"),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}+{pair[1]})"),
        st.tuples(inner, st.integers(0, 4)).map(lambda pair: f"({pair[0]})*{pair[1]}"),
        st.tuples(st.integers(0, 4), inner).map(lambda pair: f"{pair[0]}*({pair[1]})"),
    ),
    max_leaves=6,
))  # fmt: skip
def test_layer_patterns_mean_what_python_says(text: str) -> None:
    assert layer_pattern(text) == tuple(eval(text))


_NO_PATTERNS = ["", "x", "[a]", "[[0]]", "([0],[1])", "[0]*[1]", "[0]+1", "[0] * 2", "[0]**2", "[](3)", "[0][0]"]


@pytest.mark.parametrize("text", [*_NO_PATTERNS, "[" * 5000, "[0]*999999999"])
def test_layer_patterns_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        layer_pattern(text)


def test_importing_reads_no_catalogue_and_no_torch() -> None:
    code = (
        "import sys, harness.config.releases as releases; from harness.config.releases import catalogue\n"
        "print(catalogue._read.cache_info().currsize, 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False", "False"]


@pytest.mark.parametrize("written", ["0.15", "0.15.3", "core_r0.15.0", "core_v0.15.0rc3", "v0.15.dev1", " 0.15 "])
def test_a_release_is_told_by_its_first_two_numbers(written: str) -> None:
    assert Release.parse(written) == Release(0, 15)
    assert str(Release.parse(written)) == "0.15"


@pytest.mark.parametrize("written", ["", "15", "0.", "main", "0.15-3", "0.15.", "core-0.15", "0.015", "00.15"])
def test_what_is_no_release(written: str) -> None:
    with pytest.raises(ValueError, match="is no release such as"):
        Release.parse(written)


def test_releases_are_in_the_order_of_their_numbers() -> None:
    assert Release(0, 9) < Release(0, 10) < Release(1, 0) == max(Release(1, 0), Release(0, 99))


def test_the_embedded_release_is_the_one_that_is_pinned() -> None:
    """By pyproject.toml, and known by a catalogue."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (pin,) = (it for it in project["optional-dependencies"]["engine"] if it.startswith("megatron-core"))
    assert pin == f"megatron-core=={load(EMBEDDED_RELEASE).version}"
