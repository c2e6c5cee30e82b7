"""`--pipeline-model-parallel-layout`: refused where Megatron refuses it, and nowhere else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.arch.layout import layout_problems, layout_stages
from harness.config.balanced_layout import balanced_layout

megatron = pytest.importorskip("megatron.core.transformer.pipeline_parallel_layer_layout").PipelineParallelLayerLayout
WORDS = {"E": "embedding", "t": "decoder", "m": "mtp", "L": "loss"}


def megatron_takes(layout: str, *, pp: int, num_layers: int, mtp_layers: int) -> bool:
    try:
        megatron(layout, pp).validate_layer_layout(num_layers, mtp_layers or None)
    except (AssertionError, IndexError):
        return False
    return True


@st.composite
def layouts(draw: st.DrawFn) -> tuple[str, int, int, int]:
    """A layout that is right or nearly so, a pipeline size, and how many layers and MTP modules there are."""
    pp, vpp = draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([1, 2, 3]))
    num_layers, mtp_layers = draw(st.integers(1, 8)), draw(st.sampled_from([0, 0, 1, 2]))
    body = ["E", *"t" * num_layers, *"m" * mtp_layers, "L"]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(body) - 1))
        change = draw(st.sampled_from(["drop", "double", "swap", "put"]))
        if change == "put":
            body.insert(at, draw(st.sampled_from("EtmL")))
        elif change == "swap":
            body[at], body[at - 1] = body[at - 1], body[at]
        else:
            body[at : at + 1] = [] if change == "drop" else [body[at]] * 2
    stages = pp * vpp + draw(st.sampled_from([0, 0, 0, 1]))
    low = len(body) - mtp_layers - 2 if draw(st.booleans()) else 0
    for cut in sorted((draw(st.integers(low if part else 0, len(body))) for part in range(stages - 1)), reverse=True):
        body.insert(cut, "|")
    return "".join(body), pp, num_layers, mtp_layers


@settings(max_examples=600)
@given(layouts())
def test_a_layout_is_refused_exactly_where_megatron_refuses_it(drawn: tuple[str, int, int, int]) -> None:
    layout, pp, num_layers, mtp_layers = drawn
    found = layout_problems(layout, pp=pp, num_layers=num_layers, mtp_layers=mtp_layers)
    assert (not found) == megatron_takes(layout, pp=pp, num_layers=num_layers, mtp_layers=mtp_layers), found


@pytest.mark.parametrize("layout", ["Et*3|(tt|)*29,m|L", "Et|t*2|tmL", "Ett|(t|)*2tL", "E|(tt|t|)*3L", "Et*12L"])
def test_stages_are_those_that_megatron_reads(layout: str) -> None:
    stages = [[WORDS[letter] for letter in stage] for stage in layout_stages(layout)]
    assert [[str(kind.name) for kind in stage] for stage in megatron.parse_str_to_list(layout)] == stages


@settings(max_examples=200)
@given(st.integers(1, 80), st.sampled_from([2, 4, 8]), st.sampled_from([1, 2, 4]), st.integers(0, 3), st.integers(0, 2))
def test_what_is_chosen_is_a_layout_that_megatron_takes(layers: int, pp: int, vpp: int, dense: int, mtp: int) -> None:
    if pp * vpp > layers:
        return
    chosen = balanced_layout(layers, pp * vpp, dense_layers=min(dense, layers - 1), mtp_layers=mtp)
    assert megatron_takes(chosen, pp=pp, num_layers=layers, mtp_layers=mtp), chosen
