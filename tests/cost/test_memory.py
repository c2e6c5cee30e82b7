"""Memory of the pipeline ranks: terms, sums, and what each option takes away; totals against published runs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.cost.activations import mtp_activations
from harness.cost.memory import ERROR_BAND, peak_stage, stage_memory
from harness.cost.microbatch_shard import microbatch_shard
from harness.cost.training import Recompute, Training
from harness.cost.training_flags import training
from harness.plan.published.predictable import predictable_row
from harness.plan.published.rows import PublishedRow, read_rows
from harness.units import GIB

HERE = Path(__file__).parent
FLAGS = json.loads((HERE.parent / "arch" / "published_flags.json").read_text())


def job(name: str, world_size: int, **changes: ArgValue) -> Training:
    """A published model in bf16 with the distributed optimizer."""
    flags: dict[str, ArgValue] = {
        **FLAGS[name],
        "--bf16": True,
        "--use-distributed-optimizer": True,
        "--seq-length": "4096",
        "--micro-batch-size": "1",
        "--global-batch-size": "1024",
        **{f"--{key.replace('_', '-')}": value for key, value in changes.items()},
    }
    return training(MegatronArgs(flags), world_size, imbalance=1)


@pytest.fixture(scope="module")
def mixtral() -> Training:
    """Mixtral-8x7B on 64 GPUs, TP=2, PP=4, VPP=8, EP=8."""
    return job(
        "Mixtral-8x7B",
        64,
        tensor_model_parallel_size="2",
        pipeline_model_parallel_size="4",
        expert_model_parallel_size="8",
        expert_tensor_parallel_size="1",
        num_layers_per_virtual_pipeline_stage="1",
        sequence_parallel=True,
    )


def test_states_written_out(mixtral: Training) -> None:
    """2 + 4 bytes a parameter, and 12 of each one's share: 8 layers of a rank, its embedding on the first."""
    first = stage_memory(mixtral)[0]
    hidden, inner = 4096, 14336
    attention = (hidden * (4096 + 2 * 1024) + 4096 * hidden) // 2
    dense = 8 * (attention + 2 * hidden + 8 * hidden) + 32000 // 2 * hidden
    expert = 8 * 3 * hidden * inner
    assert first.weights_bytes == 2 * (dense + expert)
    assert first.grads_bytes == 4 * (dense + expert)
    assert first.main_weights_bytes == 4 * (dense // 8 + expert // 2)
    assert first.optimizer_bytes == 2 * first.main_weights_bytes


def test_without_the_distributed_optimizer_every_rank_has_all_states(mixtral: Training) -> None:
    whole = replace(mixtral, optimizer=mixtral.optimizer._replace(distributed=False))
    first = stage_memory(whole)[0]
    assert first.main_weights_bytes == 2 * first.weights_bytes


def test_offloaded_states_leave_the_gpu(mixtral: Training) -> None:
    half = replace(mixtral, optimizer=mixtral.optimizer._replace(offloaded=0.5))
    before, after = stage_memory(mixtral)[0], stage_memory(half)[0]
    assert after.optimizer_bytes == pytest.approx(before.optimizer_bytes / 2, rel=1e-9)


def test_gradients_in_16_bits_are_copied_for_the_step(mixtral: Training) -> None:
    """Adam wants fp32 of a rank's share: as many bytes as its main weights, where a step is the fullest moment."""
    tiny = replace(mixtral, batch=mixtral.batch._replace(seq_len=8))
    halved = replace(tiny, optimizer=tiny.optimizer._replace(grad_bytes=2))
    aware = replace(halved, optimizer=halved.optimizer._replace(precision_aware=True))
    offloaded = replace(halved, optimizer=halved.optimizer._replace(offloaded=0.5))
    first = stage_memory(halved)[0]
    assert first.transient_bytes == {"optimizer step": pytest.approx(first.main_weights_bytes, abs=4)}
    half = pytest.approx(first.main_weights_bytes / 2, abs=4)
    assert stage_memory(offloaded)[0].transient_bytes == {"optimizer step": half}
    for without in (tiny, aware):
        assert "optimizer step" not in stage_memory(without)[0].transient_bytes


def test_what_libraries_hold_outside_of_torch(mixtral: Training) -> None:
    """DeepEP's buffer, HybridEP's place for all tokens that could arrive, and 16 channels of 4 MiB a communicator."""
    tokens = 4096 // 2 * 8 * 4096 * 2
    for dispatcher, size in (("alltoall", 0), ("allgather", 0), ("deepep", GIB), ("hybridep", tokens)):
        it = stage_memory(replace(mixtral, dispatcher=dispatcher))[0]  # type: ignore[arg-type]
        assert it.outside_bytes["dispatcher"] == size
        assert it.total_bytes - it.allocated_bytes == sum(it.outside_bytes.values())
    assert mixtral.parallel.dp > 1
    assert mixtral.parallel.edp > 1
    groups = 5  # TP, PP, DP, EP and EDP; CP and ETP are of one rank
    assert stage_memory(mixtral)[0].outside_bytes["nccl"] == groups * 16 * 4 * 2**20


def test_an_mtp_module_keeps_what_enters_its_own_weights() -> None:
    it = job("DeepSeek-V3", 64, mtp_num_layers="1", tensor_model_parallel_size="2", sequence_parallel=True)
    shape = microbatch_shard(it)
    of_layer = it.arch.mtp_layer.weights(it.arch.hidden, it.arch.norm)
    own = [weight for weight in it.arch.mtp_weights() if weight not in of_layer]
    kept = sum(shape.norm(it.outputs) if it.inputs == 1 else it.inputs * shape.saved_input for it in own)
    assert len(own) == 4
    assert mtp_activations(it.arch, shape) == round(4096 // 2 * kept)


@pytest.mark.parametrize("module", ["moe_act", "moe", "core_attn"])
def test_recomputing_saves(mixtral: Training, module: str) -> None:
    less = replace(mixtral, recompute=Recompute(granularity="selective", modules=frozenset({module})))
    assert peak_stage(stage_memory(less)).allocated_bytes < peak_stage(stage_memory(mixtral)).allocated_bytes


def test_full_recompute_keeps_the_inputs_of_layers(mixtral: Training) -> None:
    full = replace(mixtral, recompute=Recompute(granularity="full"))
    first = stage_memory(full)[0]
    in_flight = 3 * 2 + 7 * 4 + 1  # the warm-up of the first rank, and one more; a layer a virtual stage
    assert first.activations_bytes == {"layer inputs": in_flight * 4096 // 2 * 4096 * 2}


def test_the_largest_term_is_named(mixtral: Training) -> None:
    peak = peak_stage(stage_memory(mixtral))
    assert peak.rank == 0
    assert peak.dominant == "activations: moe_act"
    assert sum(peak.terms_bytes.values()) == peak.allocated_bytes < peak.total_bytes


def published() -> list[tuple[PublishedRow, Training]]:
    """The published rows with a memory figure, and their jobs."""
    rows = [row for row in read_rows() if row.mem_gb is not None and "LoRA" not in row.remarks]
    return [(row, predictable_row(row).job) for row in rows]


@pytest.mark.parametrize(
    ("row", "run"), published(), ids=lambda part: part.source[-50:] if isinstance(part, PublishedRow) else ""
)
def test_published_totals_are_within_the_error_band(row: PublishedRow, run: Training) -> None:
    """Golden rows and the studies give what torch had allocated at most, on the last rank."""
    assert row.mem_gb is not None
    measured = row.mem_gb * (GIB if "GiB" in row.notes else 10**9)
    assert stage_memory(run)[-1].allocated_bytes == pytest.approx(measured, rel=ERROR_BAND)
