"""What is read out of a row's own cells and prose."""

import pytest

from harness.plan.published.cells import hints, precision, stated
from harness.plan.published.rows import PublishedRow, read_rows

BLANK = read_rows()[0]._replace(precision="", recompute="", dispatcher="", other_flags="", notes="", pp=None, vpp=None)


@pytest.mark.parametrize(
    ("text", "recipe"),
    [
        ("BF16", "bf16"),
        ("bf16", "bf16"),
        ("MXFP8", "mxfp8"),
        ("FP8-MX", "mxfp8"),
        ("fp8_mx", "mxfp8"),
        ("FP8 blockwise", "blockwise"),
        ("FP8-SC", "blockwise"),
        ("FP8-CS", "tensorwise"),
        ("FP8 delayed", "delayed"),
        ("NVFP4", "nvfp4"),
        ("FP8", None),
        ("", None),
    ],
)
def test_precision(text: str, recipe: str | None) -> None:
    assert precision(BLANK._replace(precision=text)).get("recipe") == recipe


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("selective: mlp mla_up_proj", ("mlp", "mla_up_proj")),
        ("selective: moe_act, layernorm", ("moe_act", "layernorm")),
        ("norm, act", ("layernorm", "moe_act")),
        ("full", ("full",)),
        ("none", ("none",)),
        ("", None),
    ],
)
def test_recompute(text: str, modules: tuple[str, ...] | None) -> None:
    assert stated(BLANK._replace(recompute=text)).get("recompute") == modules


@pytest.mark.parametrize(
    ("text", "dispatcher"),
    [
        ("DeepEP", "deepep"),
        ("flex/hybridep", "hybridep"),
        ("AlltoAll", "alltoall"),
        ("A2A", "alltoall"),
        ("allgather", "allgather"),
        ("flex", None),
        ("", None),
    ],
)
def test_dispatcher(text: str, dispatcher: str | None) -> None:
    assert stated(BLANK._replace(dispatcher=text)).get("dispatcher") == dispatcher


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("A2A_OVERLAP=1", {"a2a_overlap": True, "delay_wgrad": True}),
        ("A2A_OVERLAP=0 OPTIMIZER_OFFLOAD=0", {"a2a_overlap": False, "delay_wgrad": False, "optimizer_offload": 0.0}),
        ("EP overlap on; delay_wgrad off", {"a2a_overlap": True, "delay_wgrad": False}),
        ("EP overlap off", {"a2a_overlap": False, "delay_wgrad": False}),
        ("1F1B EP overlap ON", {"a2a_overlap": True, "delay_wgrad": True}),
        ("1F1B overlap ON", {"a2a_overlap": True, "delay_wgrad": True}),
        ("EP overlap", {"a2a_overlap": True, "delay_wgrad": True}),
        (
            "TE cuda graph attn moe_router moe_preprocess; force balance",
            {"cuda_graph": ("attn", "moe_router", "moe_preprocess"), "routing": "balanced"},
        ),
        ("cuda graph OFF", {"cuda_graph": ("none",)}),
        ("paged stash; full CG", {"cuda_graph": ("full",), "paged_stash": True}),
        ("dropless real routing", {"routing": "real"}),
        ("mock data, forced expert balancing", {"routing": "balanced"}),
        ("--moe-router-force-load-balancing", {"routing": "balanced"}),
        ("token drop: capacity factor 1.0, pad to capacity", {"routing": "drop"}),
        ("MCore; token drop capacity factor 1", {"routing": "drop"}),
        ("tokendrop; FSDP=0; GA=32", {"routing": "drop", "fsdp": False}),
        ("EDP=32 DP=128 FSDP=On GA=4", {"fsdp": True}),
        ("EDP=4 DP=8 FSDP=/ GA=256", {"fsdp": False}),
        ("FSDP + EP", {"fsdp": True}),
        ("FSDP=64", {"fsdp": True}),
        ("w/o MTP", {"mtp_layers": 0}),
        ("w/ MTP", {"mtp_layers": 1}),
        ("MTP1", {"mtp_layers": 1}),
        ("VPP12", {"vpp": 12}),
        ("layout Et|(tt|)*30L; cumulative step: Baseline", {"layout": "Et|(tt|)*30L", "mtp_layers": 0}),
        ("layout Et*4|(tttt|)*14tmL; MTP1", {"layout": "Et*4|(tttt|)*14tmL", "mtp_layers": 1}),
        (
            "{num-layers: 14, mtp-num-layers: 1, swiglu: true, pipeline-model-parallel-layout: Et*7|t*7mL}",
            {"layout": "Et*7|t*7mL", "mtp_layers": 1},
        ),
        ("{num-layers: 56, swiglu: true}", {"mtp_layers": 0}),
        ("partial CG; BF16 baseline; SEGMENT=2; expandable_segments", {}),
        ("", {}),
    ],
)
def test_prose(text: str, facts: dict[str, object]) -> None:
    assert stated(BLANK._replace(other_flags=text)) == facts


def test_a_layout_counts_the_virtual_stages_that_no_cell_does() -> None:
    row = BLANK._replace(other_flags="layout Et*4|(tttt|)*14tmL", pp=4)
    assert stated(row)["vpp"] == 4
    assert "vpp" not in stated(row._replace(vpp=4))


def test_notes_may_speak_of_another_table() -> None:
    assert "vpp" not in stated(BLANK._replace(notes="ModelZoo lists the same 750 TF with PP8 VPP1 EP8"))


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("partial CG", ("attn", "moe_router", "moe_preprocess")),
        ("router/preprocess CG", ("moe_router", "moe_preprocess")),
    ],
)
def test_loose_words_are_hints(text: str, modules: tuple[str, ...]) -> None:
    row: PublishedRow = BLANK._replace(other_flags=text)
    assert hints(row) == {"cuda_graph": modules}
