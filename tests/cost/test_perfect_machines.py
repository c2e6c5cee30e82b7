"""On a machine that is perfect but for one thing, a step takes what that thing does, as it is counted elsewhere."""

import random
from dataclasses import replace
from math import inf

import pytest
from test_step_time import gpu, job

from harness.arch.model import LayerSpec
from harness.arch.moe import Dense, MoE
from harness.arch.precision import Precision
from harness.cost.comm import Group, gather_s, send_s
from harness.cost.constants import Constants
from harness.cost.data_parallel_time import fullest_rank, optimizer_s
from harness.cost.dispatch import dispatch_s
from harness.cost.flops import hardware_flops_per_step
from harness.cost.hardware import Gpu
from harness.cost.layer_shape import LayerShape, layer_shape
from harness.cost.layer_time import layer_time
from harness.cost.model_states import model_states, sharded_parameters
from harness.cost.rates import rates
from harness.cost.step_time import step_time
from harness.cost.training import Dispatcher, Recompute, Training

TOP_K = 4
PERFECT = Constants(
    gemm_bf16=1,
    gemm_fp8=1,
    gemm_fp8_blockwise=1,
    gemm_mxfp8=1,
    gemm_half=0,
    grouped_gemm=1,
    attention_forward=1,
    attention_backward=1,
    hbm=1,
    nvlink=1,
    nic=1,
    nic_all_to_all=1,
    host_layer_s=0,
    host_expert_s=0,
    host_grace=1,
    host_step_s=0,
    host_aging=0,
    kernel_aging=0,
    dispatch_s=0,
    sync_s=0,
    hidden_expert=1,
    jitter=0,
)
NO_PIPELINE = (
    "MODEL=Mixtral-8x7B TP=1 PP=1 EP=8 GBS=64 NNODES=1",
    "MODEL=Mixtral-8x7B TP=2 PP=1 EP=4 ETP=2 GBS=64 NNODES=2",
    "MODEL=Mixtral-8x7B TP=4 PP=1 EP=8 CP=2 GBS=64 MBS=2 NNODES=2",
    "MODEL=Qwen2-57B-A14B TP=4 PP=1 EP=4 ETP=4 GBS=256 NNODES=8",
    "MODEL=Qwen3-30B-A3B TP=1 PP=1 EP=16 GBS=512 NNODES=2 MOE_GROUPED_GEMM=0",
    "MODEL=DeepSeek-V2-Lite TP=1 PP=1 EP=8 GBS=64 MBS=2 NNODES=2",
    "MODEL=DeepSeek-V3 TP=2 PP=1 EP=64 GBS=2048 NNODES=128",
)
RECOMPUTED = (
    Recompute(),
    *(
        Recompute(granularity="selective", modules=frozenset({module}))
        for module in ("core_attn", "mla_up_proj", "mlp", "moe", "shared_experts")
    ),
)


def endless(of: Gpu) -> Gpu:
    """A GPU that waits for nothing but its products."""
    return replace(of, hbm_bytes_per_s=inf, nvlink_bytes_per_s=inf, nic_bytes_per_s=inf)


def balanced(words: str) -> Training:
    return replace(job(*words.split(), "SEQ_LEN=1024", "FORCE_BALANCE=1"), precision=Precision.BF16)


def values_timed_as_keys(it: Training) -> float:
    """Fused attention computes the scores again, as wide as keys; its time has a half of both, keys and values."""
    layers = (*it.arch.layers, *(it.arch.mtp_layer,) * it.arch.mtp_layers)
    wider = sum(layer.attention.heads * (layer.attention.v_dim - layer.attention.qk_dim) for layer in layers)
    return wider / 2 * it.batch.seq_len**2 * it.batch.global_


@pytest.mark.parametrize("recompute", RECOMPUTED, ids=lambda it: "".join(it.modules) or it.granularity)
@pytest.mark.parametrize("words", NO_PIPELINE)
def test_where_all_else_is_free_a_step_takes_its_products(words: str, recompute: Recompute) -> None:
    """Up to the diagonal of the causal mask."""
    it, h100 = replace(balanced(words), recompute=recompute), gpu("H100")
    peak = h100.peak(Precision.BF16)
    assert peak is not None
    found = step_time(it, endless(h100), PERFECT)
    flops = hardware_flops_per_step(it) + values_timed_as_keys(it)
    assert found.total_s == pytest.approx(flops / it.parallel.world_size / peak, rel=2e-4)
    products = ("dense GEMMs", "expert GEMMs", "attention")
    assert found.total_s == pytest.approx(sum(found.parts_s[part] for part in products))


def test_each_micro_batch_is_sent_on_and_its_gradient_back() -> None:
    words = "MODEL=Mixtral-8x22B TP=2 PP=8 EP=8 NNODES=16 GBS=256"
    plain, interleaved = (balanced(f"{words} VPP={vpp}") for vpp in (1, 7))
    of = replace(gpu("H100"), nvlink_bytes_per_s=inf)
    sent_s = [step_time(it, of, PERFECT).parts_s["pipeline send"] for it in (plain, interleaved)]
    message_bytes = 1024 * plain.arch.hidden * 2 / 2  # a micro-batch of one sequence in bf16, split over TP
    assert sent_s[0] == pytest.approx(2 * plain.microbatches * message_bytes / of.nic_bytes_per_s)
    assert sent_s[1] == pytest.approx(2 * 7 * 8 * message_bytes / of.nic_bytes_per_s)  # the ends of the step alone


@pytest.mark.parametrize("words", [*NO_PIPELINE, "MODEL=DeepSeek-V3 TP=2 PP=8 VPP=4 EP=64 GBS=2048 NNODES=128"])
@pytest.mark.parametrize("precision", [Precision.MXFP8, Precision.FP8_BLOCKWISE, Precision.FP8_DELAYED])
def test_casts_pass_over_the_inputs_of_products(words: str, precision: Precision) -> None:
    """Each input of a GEMM is read in bf16 and written in fp8, by rows and by columns: about twice, and read once."""
    it = replace(balanced(words), recompute=Recompute())
    shapes = [layer_shape(replace(it, precision=kind)) for kind in (Precision.BF16, precision)]
    speed = rates(gpu("H100"), Precision.BF16, PERFECT)
    for layer in set(it.arch.layers):
        plain, cast = (layer_time(layer, it.arch.hidden, shape, speed).forward.elementwise for shape in shapes)
        inputs = cast_inputs(layer, it.arch.hidden, shapes[1])
        assert inputs < (cast - plain) * speed.hbm_bytes_per_s / 2 < 2.5 * inputs


def cast_inputs(layer: LayerSpec, hidden: int, shape: LayerShape) -> float:
    """Values that enter the main products of a layer, forward, on one rank."""
    attention = hidden * shape.own_tokens + layer.attention.heads * layer.attention.v_dim / shape.tp * shape.tokens
    ffn = layer.ffn
    if isinstance(ffn, Dense):
        return attention + (hidden + ffn.ffn_hidden / shape.tp) * shape.tokens
    routed = shape.own_tokens * ffn.top_k * shape.etp * (hidden + ffn.ffn_hidden / shape.etp)
    shared = (hidden + ffn.shared_ffn_hidden / shape.tp) * shape.tokens if ffn.shared_ffn_hidden else 0
    return attention + routed + shared


@pytest.mark.parametrize("distributed", [True, False])
@pytest.mark.parametrize("words", [*NO_PIPELINE, "MODEL=DeepSeek-V3 TP=2 PP=8 VPP=4 EP=64 GBS=2048 NNODES=128"])
def test_the_optimizer_passes_over_the_states_that_memory_counts(words: str, distributed: bool) -> None:
    """All gradients are cleared; of a rank's share they are read twice, states read and written, weights written."""
    it = balanced(words)
    it = replace(it, optimizer=it.optimizer._replace(distributed=distributed))
    held = fullest_rank(it.arch, it.pipeline, it.parallel)
    states, share = model_states(it, held), sharded_parameters(it, held)
    moved = states.grads + 2 * (states.main_weights + states.moments) + share * (2 * it.optimizer.main_grad_bytes + 2)
    found = optimizer_s(it, held, rates(gpu("H100"), Precision.BF16, PERFECT))
    assert found * gpu("H100").hbm_bytes_per_s == pytest.approx(moved)


def routed(tokens: int, top_k: int, ranks: int) -> list[list[int]]:
    """Of each of the first rank's tokens, the ranks that its experts lie on, drawn evenly."""
    draw = random.Random(0)
    return [[draw.randrange(ranks) for _ in range(top_k)] for _ in range(tokens)]


@pytest.mark.parametrize(("size", "stride"), [(8, 1), (16, 1), (64, 1), (8, 4), (4, 2)])
@pytest.mark.parametrize("dispatcher", ["alltoall", "deepep", "allgather"])
def test_tokens_travel_as_an_even_draw_of_experts_sends_them(size: int, stride: int, dispatcher: Dispatcher) -> None:
    """All-to-all sends every copy; DeepEP a token once to each other domain, and once to each rank of one domain."""
    tokens, of = 20_000, gpu("H100")
    speed, local = rates(of, Precision.BF16, PERFECT), max(1, min(size, of.nvlink_domain // stride))
    inside = across = 0.0
    for ranks in routed(tokens, TOP_K, size):
        if dispatcher == "alltoall":
            inside += sum(0 < rank < local for rank in ranks)
            across += sum(rank >= local for rank in ranks)
        elif dispatcher == "allgather":  # a ring in each domain, and between domains one a rank
            inside += size - 1 if local > 1 else 0
            across += (size - 1) / local if local < size else 0
        else:
            inside += len(set(ranks)) * (local - 1) / local
            across += len({rank // local for rank in ranks} - {0})
    travels_s = max(inside / speed.nvlink_bytes_per_s, across / speed.nic_bytes_per_s)
    ffn = MoE(experts=size, top_k=TOP_K, ffn_hidden=1)
    found = dispatch_s(ffn, 1, tokens, Group(size=size, stride=stride), dispatcher, speed)
    assert found == pytest.approx(travels_s, rel=0.02)
    late = rates(of, Precision.BF16, replace(PERFECT, dispatch_s=1.0))
    assert dispatch_s(ffn, 1, tokens, Group(size=size, stride=stride), dispatcher, late) == pytest.approx(found + 1)


def test_groups_of_experts_bound_the_domains_that_a_token_reaches() -> None:
    speed, group = rates(gpu("H100"), Precision.BF16, PERFECT), Group(size=64)
    free = MoE(experts=256, top_k=8, ffn_hidden=1)
    limited, as_many = (free._replace(groups=8, group_top_k=few) for few in (4, 8))
    seconds = [dispatch_s(ffn, 1, 1e6, group, "deepep", speed) for ffn in (limited, as_many, free)]
    assert seconds[0] < seconds[1] == seconds[2]
    assert seconds[0] * speed.nic_bytes_per_s < 4e6  # no more copies than groups


def test_a_ring_takes_what_its_slowest_link_carries() -> None:
    """(n - 1) / n of the tensor passes each link; members of a domain share what crosses to the next."""
    speed = rates(gpu("H100"), Precision.BF16, PERFECT)
    assert gather_s(8e9, Group(size=1), speed) == 0
    assert gather_s(8e9, Group(size=8), speed) == pytest.approx(7e9 / speed.nvlink_bytes_per_s)
    assert gather_s(8e9, Group(size=4, stride=2), speed) == pytest.approx(6e9 / speed.nvlink_bytes_per_s)
    assert gather_s(8e9, Group(size=8, stride=8), speed) == pytest.approx(7e9 / speed.nic_bytes_per_s)
    assert gather_s(8e9, Group(size=16), speed) == pytest.approx(7.5e9 / 8 / speed.nic_bytes_per_s)
    assert send_s(1e9, 7, speed) == 1e9 / speed.nvlink_bytes_per_s
    assert send_s(1e9, 8, speed) == 1e9 / speed.nic_bytes_per_s
