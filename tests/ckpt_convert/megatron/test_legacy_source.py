"""Legacy checkpoints, written with torch.save as Megatron and older converters wrote them, against the whole model."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_side import rows_of, whole

from ckpt_convert.megatron.open import open_megatron
from harness.errors import ConfigError

LAYERS, EXPERTS, HIDDEN, FFN, VOCAB = 8, 4, 6, 3, 10
MLA = "self_attention."

type State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def model() -> State:
    """The whole model by universal key: MLA, layer 0 dense, the others with experts."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).bfloat16()

    state = {
        "embedding.word_embeddings.weight": random(VOCAB, HIDDEN),
        "output_layer.weight": random(VOCAB, HIDDEN),
        "decoder.final_layernorm.weight": random(HIDDEN),
        "mtp.layers.0.eh_proj.weight": random(HIDDEN, 2 * HIDDEN),
    }
    for layer in range(LAYERS):
        prefix = f"decoder.layers.{layer}."
        state[f"{prefix}input_layernorm.weight"] = random(HIDDEN)
        state[f"{prefix}{MLA}linear_kv_up_proj.weight"] = random(8, 2)
        state[f"{prefix}{MLA}linear_kv_up_proj.layer_norm_weight"] = random(2)
        if layer == 0:
            state[f"{prefix}mlp.linear_fc1.weight"] = random(4 * FFN, HIDDEN)
            state[f"{prefix}mlp.linear_fc1.layer_norm_weight"] = random(HIDDEN)
            continue
        state[f"{prefix}pre_mlp_layernorm.weight"] = random(HIDDEN)
        state[f"{prefix}mlp.router.expert_bias"] = random(EXPERTS).float()
        state[f"{prefix}mlp.experts.experts.linear_fc1.weight"] = random(EXPERTS, 2 * FFN, HIDDEN)
        state[f"{prefix}mlp.experts.experts.linear_fc2.weight"] = random(EXPERTS, HIDDEN, FFN)
    return state


def sequential(expert: int, rest: str) -> str:
    """How --no-moe-grouped-gemm names an expert's weight."""
    return f"mlp.experts.local_experts.{expert}.{rest}"


def grouped(expert: int, rest: str) -> str:
    """How Transformer Engine's grouped linear layer names it."""
    return f"mlp.experts.{rest}{expert}"


def local_norms(key: str) -> str:
    """The name that Megatron's local layers give a norm."""
    key = key.replace("linear_kv_up_proj.layer_norm_weight", "kv_layernorm.weight")
    return key.replace("mlp.linear_fc1.layer_norm_weight", "pre_mlp_layernorm.weight")


def part_of(
    model: State, layers: range, experts: range, expert_name: Callable[[int, str], str], *, last: bool
) -> dict[str, Any]:
    """What one rank's model holds of some layers and experts, numbered from 0."""
    held: dict[str, Any] = {}
    for key, tensor in model.items():
        words = key.split(".")
        if words[0] != "decoder" or words[1] != "layers":
            at_the_end = not key.startswith("embedding.")
            if last if at_the_end else layers.start == 0:
                held[key] = tensor.clone()
        elif int(words[2]) in layers:
            prefix, rest = f"decoder.layers.{int(words[2]) - layers.start}.", ".".join(words[3:])
            if ".experts.experts." in key:
                for number, expert in enumerate(experts):
                    name = expert_name(number, rest.removeprefix("mlp.experts.experts."))
                    held[prefix + name] = tensor[expert].clone()
            else:
                held[prefix + rest] = tensor.clone()
    held["decoder.layers.0.self_attention.linear_proj._extra_state"] = None
    return held


def write(folder: Path, name: str, chunks: list[dict[str, Any]], **args: Any) -> None:
    """One rank's file."""
    (folder / name).mkdir(parents=True)
    keys = ["model"] if len(chunks) == 1 else [f"model{number}" for number in range(len(chunks))]
    sizes = {"tensor_model_parallel_size": 1, "num_layers": LAYERS, "padded_vocab_size": VOCAB, **args}
    content = {"args": Namespace(**sizes), "checkpoint_version": 3.0, "iteration": 5, "rng_state": [{}]}
    torch.save({**content, **dict(zip(keys, chunks, strict=True))}, folder / name / "model_optim_rng.pt")


def assert_same(folder: Path, model: State) -> None:
    """Everything is there, under the universal names, bit by bit."""
    source = open_megatron(folder)
    assert sorted(source.tensors) == sorted(model)
    for key, tensor in model.items():
        assert source.tensors[key].shape == tuple(tensor.shape)
        np.testing.assert_array_equal(whole(source, key), rows_of(tensor))
    assert (source.format, source.args["num_layers"]) == ("legacy", LAYERS)
    assert "rng_state" in source.skipped


def tracked(tmp_path: Path, name: str = "release") -> Path:
    """The folder of an iteration, with the tracker beside it."""
    (tmp_path / "latest_checkpointed_iteration.txt").write_text(name.removeprefix("iter_"))
    return tmp_path / name


@pytest.mark.parametrize("expert_name", [sequential, grouped])
@pytest.mark.parametrize("rename", [str, local_norms])
def test_pipeline_and_expert_ranks(
    tmp_path: Path, model: State, expert_name: Callable[[int, str], str], rename: Callable[[str], str]
) -> None:
    """PP2·EP2 with uneven stages, in either naming of experts and norms."""
    folder = tracked(tmp_path)
    for stage, layers in enumerate((range(3), range(3, LAYERS))):
        for part in range(2):
            experts = range(2 * part, 2 * part + 2)
            held = part_of(model, layers, experts, expert_name, last=stage == 1)
            held = {rename(key): value for key, value in held.items()}
            write(folder, f"mp_rank_00_{stage:03d}_{part:03d}", [held])
    assert_same(tmp_path, model)
    assert open_megatron(tmp_path).iteration is None


@pytest.mark.parametrize(("pipeline", "expert"), [(2, 1), (1, 2)])
def test_the_arguments_tell_what_the_second_number_is(tmp_path: Path, model: State, pipeline: int, expert: int) -> None:
    """mp_rank_00_001 is the second stage or the second half of the experts."""
    folder = tracked(tmp_path, "iter_0000005")
    sizes = {"pipeline_model_parallel_size": pipeline, "expert_model_parallel_size": expert}
    for number in range(2):
        layers = range(4 * number, 4 * number + 4) if pipeline == 2 else range(LAYERS)
        experts = range(2 * number, 2 * number + 2) if expert == 2 else range(EXPERTS)
        held = part_of(model, layers, experts, sequential, last=layers.stop == LAYERS)
        write(folder, f"mp_rank_00_{number:03d}", [held], **sizes)
    assert_same(tmp_path, model)
    assert open_megatron(folder).iteration == 5


def test_virtual_stages(tmp_path: Path, model: State) -> None:
    """VPP2·PP2: the second chunk of the first stage comes after the first chunk of the second."""
    for stage in range(2):
        first, second = range(2 * stage, 2 * stage + 2), range(4 + 2 * stage, 6 + 2 * stage)
        chunks = [
            part_of(model, layers, range(EXPERTS), grouped, last=layers.stop == LAYERS) for layers in (first, second)
        ]
        sizes = {"pipeline_model_parallel_size": 2, "virtual_pipeline_model_parallel_size": 2}
        write(tracked(tmp_path), f"mp_rank_00_{stage:03d}", chunks, **sizes)
    assert_same(tmp_path, model)


def test_one_rank_with_tied_embeddings(tmp_path: Path, model: State) -> None:
    """The last stage's copy of the embedding, saved as output layer, is no weight of its own."""
    held = part_of(model, range(LAYERS), range(EXPERTS), grouped, last=True)
    write(tracked(tmp_path), "mp_rank_00", [held], untie_embeddings_and_output_weights=False)
    assert_same(tmp_path, {key: value for key, value in model.items() if key != "output_layer.weight"})


@pytest.mark.parametrize(
    ("names", "sizes", "message"),
    [
        (["mp_rank_00", "mp_rank_01"], {}, r"at tensor parallel size 2; only 1 can be read.*--ckpt-convert-save DIR"),
        (
            ["mp_rank_00"],
            {"tensor_model_parallel_size": 4},
            r"at tensor parallel size 4; only 1.*model-parallel-size 4",
        ),
        (["mp_rank_00_000", "mp_rank_00_001"], {}, r"do not tell which: pipeline_model_parallel_size is None"),
        (
            ["mp_rank_00_000", "mp_rank_00_001"],
            {"pipeline_model_parallel_size": 2, "expert_model_parallel_size": 2},
            r"pipeline_model_parallel_size is 2, expert_model_parallel_size is 2; one must be the number of folders",
        ),
        (
            ["mp_rank_00_000_000", "mp_rank_00_000_001", "mp_rank_00_001_000"],
            {},
            r"1 ranks are missing \(pipeline 1 expert 1\)",
        ),
    ],
)
def test_ranks_that_cannot_be_read(
    tmp_path: Path, model: State, names: list[str], sizes: Mapping[str, int], message: str
) -> None:
    """Refused, with what there is and what to do."""
    for name in names:
        write(tracked(tmp_path), name, [part_of(model, range(1), range(EXPERTS), grouped, last=True)], **sizes)
    with pytest.raises(ConfigError, match=message):
        open_megatron(tmp_path)


def test_layers_that_are_missing(tmp_path: Path, model: State) -> None:
    """The arguments say how many there are."""
    write(tracked(tmp_path), "mp_rank_00", [part_of(model, range(6), range(EXPERTS), grouped, last=True)])
    with pytest.raises(ConfigError, match="6 layers in all ranks, its arguments say 8; ranks are missing"):
        open_megatron(tmp_path)


def test_a_rank_without_its_file(tmp_path: Path, model: State) -> None:
    """Named."""
    (tracked(tmp_path) / "mp_rank_00").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"mp_rank_00/model_optim_rng\.pt: missing"):
        open_megatron(tmp_path)


def test_all_experts_in_one_matrix(tmp_path: Path) -> None:
    """--moe-grouped-gemm without Transformer Engine transposes: refused with the way around."""
    weights = {"decoder.layers.0.mlp.experts.weight1": torch.ones(4, 8)}
    write(tracked(tmp_path), "mp_rank_00", [weights], num_layers=1)
    with pytest.raises(
        ConfigError, match=r"layers\.0\.mlp\.experts\.weight1 holds all experts in one transposed matrix"
    ):
        open_megatron(tmp_path)


@pytest.mark.parametrize("content", [{"model": "text"}, {"state_dict": {}}, [1]])
def test_files_of_other_programs(tmp_path: Path, content: Any) -> None:
    """A torch.save file without a model."""
    folder = tracked(tmp_path) / "mp_rank_00"
    folder.mkdir(parents=True)
    torch.save(content, folder / "model_optim_rng.pt")
    with pytest.raises(ConfigError, match="no checkpoint of Megatron-Core: it holds no model of named tensors"):
        open_megatron(tmp_path)


def test_fp8_objects_of_transformer_engine(tmp_path: Path) -> None:
    """A tensor class of Transformer Engine is neither imported nor guessed at."""
    from megatron.core.enums import ModelType

    weights = {"output_layer.weight": ModelType.encoder_or_decoder}
    write(tracked(tmp_path), "mp_rank_00", [weights], num_layers=0)
    with pytest.raises(
        ConfigError, match=r"output_layer\.weight is a megatron\.core\.enums\.ModelType, not a plain tensor"
    ):
        open_megatron(tmp_path)
