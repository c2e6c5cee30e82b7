"""A sweep's words become points; every mistake in them is told at once."""

import pytest

from harness.config.points import expand, is_list
from harness.config.schema import SETTINGS
from harness.errors import ConfigError


def names(*, zipped: bool = False, **typed: str) -> list[str]:
    return [point.name for point in expand(typed, zipped=zipped)]


def problems(*, zipped: bool = False, **typed: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        expand(typed, zipped=zipped)
    return refused.value.problems


def test_a_grid_is_every_combination_in_the_written_order() -> None:
    assert names(MODEL="Mixtral-8x2B", EP="4,2", MBS="1,2") == ["EP=4 MBS=1", "EP=4 MBS=2", "EP=2 MBS=1", "EP=2 MBS=2"]


def test_zip_pairs_the_values_and_repeats_single_ones() -> None:
    assert names(zipped=True, EP="2,4,8", GBS="64", MBS="4,2,1") == ["EP=2 MBS=4", "EP=4 MBS=2", "EP=8 MBS=1"]
    (first, *_) = expand({"EP": "2,4", "GBS": "64"}, zipped=True)
    assert first.arguments == ["EP=2", "GBS=64"]


def test_a_point_written_twice_is_one() -> None:
    assert names(EP="2,02,4") == ["EP=2", "EP=4"]
    assert names(FORCE_BALANCE="1,true,0") == ["FORCE_BALANCE=1", "FORCE_BALANCE=0"]
    assert names(zipped=True, EP="2,4,2", MBS="1,1,1") == ["EP=2", "EP=4"]


def test_one_point_is_a_sweep_too() -> None:
    (point,) = expand({"MODEL": "Mixtral-8x2B", "EP": "2,2"})
    assert point.swept == ()
    assert point.name == "MODEL=Mixtral-8x2B EP=2"


def test_names_and_choices_are_lists_and_so_are_times() -> None:
    assert names(MODEL="Mixtral-8x2B, DeepSeek-V3", PR="bf16,fp8")[1] == "MODEL=Mixtral-8x2B PR=fp8"
    assert names(RUN_TIME="00:20:00,1-12:00:00") == ["RUN_TIME=00:20:00", "RUN_TIME=1-12:00:00"]


@pytest.mark.parametrize(
    "name",
    ["CONTAINER_MOUNTS", "SBATCH_ARGS", "SRUN_ARGS", "PP_LAYOUT", "DATA_PATH", "OUTPUT_PATH", "COMMENT", "NCCL_IB_HCA"],
)
def test_what_may_hold_commas_is_never_parted(name: str) -> None:
    (point,) = expand({name: "a,b", "EP": "2"})
    assert point.settings[name] == "a,b"


def test_no_value_that_is_parted_may_hold_a_comma() -> None:
    """Every kind of setting that is a list here refuses a comma where it is parsed, or is a name."""
    for name, setting in SETTINGS.items():
        if is_list(name) and (setting.choices or setting.kind not in ("text", "path", "name")):
            with pytest.raises(ValueError):
                setting.parse("1,2")


def test_every_value_that_can_hold_no_comma_is_parted() -> None:
    refusing = {name for name, setting in SETTINGS.items() if setting.mistake("1,2")}
    assert refusing <= {name for name in SETTINGS if is_list(name)}


@pytest.mark.parametrize("name", ["MODEL", "CLUSTER", "PROXY", "DATASET", "MCORE_RELEASE_VERSION", "GPU", "LR"])
def test_names_that_hold_no_comma_are_parted(name: str) -> None:
    assert names(**{name: "a, b"}) == [f"{name}=a", f"{name}=b"]


def test_all_mistakes_at_once() -> None:
    assert problems(zipped=True, EP="2,x,,2", MBS="1,0", TP="1", PR="bf16,bf17") == (
        "command line: EP=2,x,,2: a value is missing between commas; write it or drop a comma",
        "command line: EP='x' is not allowed; allowed here: a whole number from 1 to 100000000",
        "command line: MBS='0' is not allowed; allowed here: a whole number from 1 to 100000000",
        "command line: PR='bf17' is not allowed; allowed here: bf16 | fp8 | mxfp8 | fp32",
        "--zip pairs the values one by one, but EP has 4 (2,x,,2), MBS has 2 (1,0), PR has 2 (bf16,bf17);"
        " make the lists equally long, or use --grid",
    )


def test_an_empty_value_unsets_as_it_does_in_launch() -> None:
    assert expand({"PP_FIRST": "", "EP": "2,4"})[0].arguments == ["PP_FIRST=", "EP=2"]


def test_a_slip_of_the_keyboard_makes_no_million_jobs() -> None:
    many = ",".join(map(str, range(1, 102)))
    (problem,) = problems(EP=many, MBS=many, GBS=many)
    assert problem == "these are 1,030,301 points, and a sweep has 1,000 at most; sweep fewer values"
