"""Rows that go over to Megatron and come back are the rows they were, and each has its one place."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from family_configs import TINY, infos, tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt_convert.assembly import Assembly
from ckpt_convert.families.blueprints import megatron_to_megatron, to_hugging_face, to_megatron
from ckpt_convert.families.exact import Exact
from ckpt_convert.families.model import model_of_config
from ckpt_convert.families.tensor_rule import interleave
from ckpt_convert.megatron.names import universal_names
from ckpt_convert.tensors import Dtype, TensorInfo
from harness.config.releases import Release

type Matrices = dict[str, np.ndarray[Any, Any]]


def assembled(assemblies: tuple[Assembly, ...], sources: Matrices) -> Matrices:
    """The tensors as matrices of rows, put together from matrices of rows."""
    return {assembly.name: put_together(assembly, sources) for assembly in assemblies}


def put_together(assembly: Assembly, sources: Matrices) -> np.ndarray[Any, Any]:
    """One tensor as a matrix of rows."""
    info = assembly.info
    runs = [
        np.zeros((part.rows, info.columns), dtype=np.int64)
        if part.source is None
        else sources[part.source][part.first : part.first + part.rows]
        for part in assembly.parts
    ]
    matrix = np.concatenate(runs)
    assert matrix.shape == (info.rows, info.columns)
    return matrix


def random_rows(tensors: Mapping[str, TensorInfo], copies: Mapping[str, str]) -> Matrices:
    """Numbers that never repeat, but in copies."""
    ends = np.cumsum([0, *(info.rows * info.columns for info in tensors.values())])
    rows = {
        name: np.arange(start, start + info.rows * info.columns).reshape(info.rows, info.columns)
        for (name, info), start in zip(tensors.items(), ends[:-1], strict=True)
    }
    return rows | {name: rows[original] for name, original in copies.items()}


def sizes(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """A tiny model with other layers, heads, experts and vocabulary."""
    number = st.integers(min_value=1, max_value=3)
    expert_key = {"Mixtral": "num_local_experts", "Qwen2-MoE": "num_experts"}.get(name.partition(",")[0])
    if expert_key is None:
        return st.builds(
            lambda layers, heads, dense, experts, vocab: tiny(
                name,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                num_key_value_heads=heads,
                first_k_dense_replace=min(dense, layers),
                n_routed_experts=4 * experts,
                vocab_size=vocab,
            ),
            *(number, number, number, number, st.integers(min_value=1, max_value=70)),
        )
    return st.builds(
        lambda layers, groups, heads, experts, vocab: tiny(
            name,
            num_hidden_layers=layers,
            num_attention_heads=groups * heads,
            num_key_value_heads=groups,
            vocab_size=vocab,
            **{expert_key: 2 * experts},
        ),
        *(number, number, number, number, st.integers(min_value=1, max_value=70)),
    )


@pytest.mark.parametrize("name", TINY)
@given(data=st.data())
@settings(max_examples=15)
def test_there_and_back_is_nothing(name: str, data: st.DataObject) -> None:
    model = model_of_config(data.draw(sizes(name)), "config.json")
    tensors = infos(model.table().shapes())
    rows = random_rows(tensors, model.table().copies)
    there = to_megatron(model, tensors, dtype=Dtype.BF16, where="here")
    megatron = assembled(there.tensors, rows)
    taken = {part.source for tensor in there.tensors for part in tensor.parts}
    assert taken == tensors.keys() - model.table().copies.keys()
    back = to_hugging_face(model, {t.name: t.info for t in there.tensors}, dtype=Dtype.BF16, where="there")
    returned = assembled(back.tensors, megatron)
    assert returned.keys() == rows.keys()
    assert all(np.array_equal(returned[name], rows[name]) for name in rows)


@pytest.mark.parametrize("spec", ["te", "local"])
@pytest.mark.parametrize("name", TINY)
def test_names_of_both_specs_and_a_padded_vocabulary_come_back(name: str, spec: Any) -> None:
    model = model_of_config(tiny(name), "config.json")
    release = (
        Release(0, 16)
        if "--moe-shared-expert-gate" in model.flags or "--mtp-num-layers" in model.flags
        else Release(0, 11)
    )
    tensors = infos(model.table().shapes())
    rows = random_rows(tensors, model.table().copies)
    exact = Exact(release=release, spec=spec, tp=8)
    there = to_megatron(model, tensors, dtype=Dtype.F16, where="here", exact=exact)
    megatron = assembled(there.tensors, rows)
    if release == Release(0, 11):
        embedding = megatron["embedding.word_embeddings.weight"]
        assert embedding.shape[0] == 600  # 300 tokens, 75 · TP 8 rows at a time
        assert not embedding[300:].any()
    shown = universal_names(megatron)  # as the reader of Megatron's folders shows them
    saved = {shown[tensor.name]: tensor.info for tensor in there.tensors}
    megatron = {shown[name]: matrix for name, matrix in megatron.items()}
    returned = assembled(to_hugging_face(model, saved, dtype=Dtype.F16, where="there").tensors, megatron)
    assert all(np.array_equal(returned[name], rows[name]) for name in rows)


@pytest.mark.parametrize("name", TINY)
def test_megatron_to_megatron_keeps_every_row(name: str) -> None:
    """But the padding of the vocabulary."""
    model = model_of_config(tiny(name), "config.json")
    shapes = {rule.key: (rule.shape[0] + 20 * rule.vocabulary, *rule.shape[1:]) for rule in model.table().rules}
    rows = random_rows(infos(shapes), {})
    written = assembled(megatron_to_megatron(model, infos(shapes), dtype=Dtype.BF16, where="here").tensors, rows)
    for rule in model.table().rules:
        assert np.array_equal(written[rule.key], rows[rule.key][: rule.rows])


def test_queries_keys_and_values_of_a_group_stand_together() -> None:
    """Written out for 4 heads in 2 groups, heads of one row: q0 q1 k0 v0, q2 q3 k1 v1."""
    rule = interleave("qkv", ("q", "k", "v"), (2, 1, 1), 2, 5)
    assert rule.shape == (8, 5)
    assert [(piece.name, piece.first, piece.rows) for piece in rule.pieces] == [
        ("q", 0, 2),
        ("k", 0, 1),
        ("v", 0, 1),
        ("q", 2, 2),
        ("k", 1, 1),
        ("v", 1, 1),
    ]


def test_expert_bias_alone_keeps_its_precision() -> None:
    model = model_of_config(tiny("DeepSeek-V3"), "config.json")
    tensors = infos(model.table().shapes())
    there = to_megatron(model, tensors, dtype=Dtype.BF16, where="here")
    precise = {tensor.name for tensor in there.tensors if tensor.dtype is Dtype.F32}
    assert precise == {tensor.name for tensor in there.tensors if tensor.name.endswith("expert_bias")} != set()
    back = to_hugging_face(model, {t.name: t.info for t in there.tensors}, dtype=Dtype.BF16, where="there")
    assert {t.name for t in back.tensors if t.dtype is Dtype.F32} == {
        "model.layers.1.mlp.gate.e_score_correction_bias",
        "model.layers.2.mlp.gate.e_score_correction_bias",
        "model.layers.3.mlp.gate.e_score_correction_bias",
    }
    assert back.config["torch_dtype"] == "bfloat16"
    assert "quantization_config" not in back.config


@pytest.mark.parametrize(
    ("name", "gate", "up"),
    [
        ("DeepSeek-V3", "mlp.experts.{}.gate_proj.weight", "mlp.experts.{}.up_proj.weight"),
        ("Qwen2-MoE", "mlp.experts.{}.gate_proj.weight", "mlp.experts.{}.up_proj.weight"),
        ("Mixtral", "block_sparse_moe.experts.{}.w1.weight", "block_sparse_moe.experts.{}.w3.weight"),
    ],
)
def test_expert_by_expert_the_gate_stands_over_the_up_projection(name: str, gate: str, up: str) -> None:
    model = model_of_config(tiny(name), "config.json")
    there = to_megatron(model, infos(model.table().shapes()), dtype=Dtype.BF16, where="here")
    (stacked,) = (t for t in there.tensors if t.name == "decoder.layers.1.mlp.experts.experts.linear_fc1.weight")
    assert [part.source for part in stacked.parts] == [
        "model.layers.1." + name.format(expert) for expert in range(stacked.shape[0]) for name in (gate, up)
    ]
