"""Megatron's dump of its arguments, as every release prints it.

The dumps of tests/fixtures/logs/arguments-*.log were printed by each release's own parser and `validate_args`, run on
one command line: 32 ranks, TP 2, PP 2 with 2 virtual stages, EP 4, ETP 1, 64 experts, fp8. Only CUDA's and Transformer
Engine's answers to its checks were given by hand.
"""

from dataclasses import fields, replace
from pathlib import Path

import pytest
from cli_command import moe_harness
from hypothesis import given
from hypothesis import strategies as st

from harness.training.effective import Setup
from harness.training.log.arguments_dump import parse_argument, parse_sizes, setup_of
from harness.training.log.engine_statement import parse_in_effect
from harness.training.log.parser import LogParser

LOGS = Path(__file__).parents[1] / "fixtures" / "logs"
WHOLE = Setup(
    world_size=32, tp=2, pp=2, vpp=2, ep=4, etp=1, cp=1, dp=8,
    dispatcher="flex:deepep", precision="mxfp8", grouped_gemm=True, mtp_layers=1,
)  # fmt: skip
BY_RELEASE = {
    "0.11": replace(WHOLE, dispatcher="alltoall_seq", precision="fp8", mtp_layers=None),
    **{f"0.{minor}": WHOLE for minor in range(12, 19)},  # to 0.15 by --moe-enable-deepep, then by the flex backend
    "0.19": replace(WHOLE, dispatcher="flex:hybridep", precision="fp8", mtp_layers=0),
}


def dump(release: str) -> list[str]:
    return (LOGS / f"arguments-{release}.log").read_text().splitlines()


def setup_in(lines: list[str]) -> Setup | None:
    parser = LogParser()
    for line in lines:
        parser.feed(line)
    stated = parser.log().in_effect
    return stated.setup if stated else None


@pytest.mark.parametrize("release", BY_RELEASE)
@pytest.mark.parametrize("prefix", ["", "0: ", " 12: ", "[default0]:", "1: [rank7]: "])
def test_every_releases_dump_is_read_whole(release: str, prefix: str) -> None:
    assert setup_in([prefix + line for line in dump(release)]) == BY_RELEASE[release]


@pytest.mark.parametrize("release", BY_RELEASE)
def test_every_releases_sizes_are_read_without_the_dump(release: str) -> None:
    assert setup_in(dump(release)[:1]) == Setup(world_size=32, tp=2, pp=2, cp=1, dp=8)


@pytest.mark.slow
def test_what_a_real_run_dumps_is_what_the_engine_finds_built(tmp_path: Path) -> None:
    """Field by field, but for the experts: the engine groups them without Transformer Engine; Megatron does not."""
    answer = moe_harness("launch", "MODEL=DeepSeek-V3", "TRAIN_ITERS=1", here=tmp_path)
    assert answer.code == 0, answer.err
    (log,) = tmp_path.glob("runs/*/log")
    lines = log.read_text().splitlines()
    (engine,) = (stated for line in lines if (stated := parse_in_effect(line)))
    dumped = setup_in([line for line in lines if not parse_in_effect(line)])
    assert dumped == replace(engine.setup, grouped_gemm=None)
    assert dumped is not None
    assert (dumped.ep, dumped.mtp_layers) == (2, 1)
    assert [item.name for item in fields(Setup) if getattr(dumped, item.name) is None] == ["grouped_gemm"]


def test_values_of_a_dense_model_and_of_layers_without_transformer_engine() -> None:
    experts = {"num_experts": "8", "moe_token_dispatcher_type": "alltoall", "moe_grouped_gemm": "True"}
    assert setup_of({**experts, "num_experts": "None"}) == Setup()
    assert setup_of({**experts, "transformer_impl": "local"}) == Setup(dispatcher="alltoall")
    assert setup_of({**experts, "moe_grouped_gemm": "False"}).grouped_gemm is False
    deepep = {"moe_token_dispatcher_type": "flex", "moe_enable_deepep": "True", "moe_flex_dispatcher_backend": "ncclep"}
    assert setup_of({**experts, **deepep}).dispatcher == "flex:deepep"


@pytest.mark.parametrize(
    ("arguments", "precision"),
    [
        ({"bf16": "True", "fp16": "False"}, None),  # fp8 is still to come
        ({"bf16": "True", "fp16": "False", "fp8": "None"}, "bf16"),
        ({"bf16": "False", "fp16": "True", "fp8": "None"}, "fp16"),
        ({"bf16": "False", "fp16": "False", "fp8": "None"}, "fp32"),
        ({"bf16": "True", "fp16": "False", "fp8": "hybrid", "fp8_recipe": "delayed"}, "fp8"),
        ({"bf16": "True", "fp16": "False", "fp8": "None", "fp4": "e2m1"}, "nvfp4"),
    ],
)
def test_the_lowest_precision_counts_once_all_are_printed(arguments: dict[str, str], precision: str | None) -> None:
    assert setup_of(arguments).precision == precision


def test_a_torn_line_and_other_ranks_words_state_nothing() -> None:
    (line,) = (it for it in dump("0.18") if it.startswith("  expert_model_parallel_size "))
    assert parse_argument("3: warning" + line) == ("expert_model_parallel_size", "4")
    assert parse_argument(line + "  ") == ("expert_model_parallel_size", "4")
    assert parse_argument(line + " NCCL INFO") is None
    assert parse_argument(line.replace("....", "...", 1)) is None
    assert parse_argument(line[4:]) is None
    assert parse_argument(line.replace(" expert", " inference_expert")) is None
    assert parse_sizes("using world size: many") == {}
    assert parse_sizes("using world size: 3[rank2]: hello, data-parallel size: 4, ") == {"data_parallel_size": "4"}


@given(at=st.integers(0, 60), junk=st.text(max_size=20), digits=st.integers(1, 5000))
def test_no_damage_makes_it_raise(at: int, junk: str, digits: int) -> None:
    for line in (dump("0.19")[0], "  world_size ...................................... 32"):
        for damage in (junk, "9" * digits):
            setup_in([line[:at] + damage + line[at:], line + damage])
