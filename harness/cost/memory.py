"""Memory of a pipeline rank at its peak, in named terms.

Each term says where it comes from in its own module: model_states, activations, in_flight, transients, buffers.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.cost.activation_peak import ActivationPeak, Schedule, activation_peaks
from harness.cost.buffers import CONTEXT_BYTES, FRAGMENTATION, WORKSPACE_BYTES, dispatcher_bytes, nccl_bytes
from harness.cost.microbatch_shard import microbatch_shard
from harness.cost.model_states import model_states
from harness.cost.training import Training
from harness.cost.transients import cross_entropy, optimizer_step_bytes

ERROR_BAND = 0.10
"""Relative error of `allocated_bytes` to reckon with; the worst of the 16 published rows that can be predicted: 6%."""


class StageMemory(NamedTuple):
    """Bytes on one GPU of pipeline rank `rank` at the peak of a step.

    `activations_bytes` holds what is saved for the backward pass by module, over all micro-batches in flight;
    `transient_bytes` what lives only while one layer, the loss or the optimizer's step is computed; `buffers_bytes`
    what libraries hold in torch's allocator, `outside_bytes` what they and CUDA hold beside it.
    """

    rank: int
    weights_bytes: int
    grads_bytes: int
    main_weights_bytes: int
    optimizer_bytes: int
    activations_bytes: Mapping[str, int]
    transient_bytes: Mapping[str, int]
    buffers_bytes: Mapping[str, int]
    outside_bytes: Mapping[str, int]

    @property
    def terms_bytes(self) -> dict[str, int]:
        """What torch allocates, term by term, the activations in one."""
        return {
            "weights": self.weights_bytes,
            "gradients": self.grads_bytes,
            "main weights": self.main_weights_bytes,
            "optimizer": self.optimizer_bytes,
            "activations": sum(self.activations_bytes.values()),
            **self.transient_bytes,
            **self.buffers_bytes,
        }

    @property
    def allocated_bytes(self) -> int:
        """What `torch.cuda.max_memory_allocated` would report."""
        states = self.weights_bytes + self.grads_bytes + self.main_weights_bytes + self.optimizer_bytes
        others = (self.activations_bytes, self.transient_bytes, self.buffers_bytes)
        return states + sum(sum(part.values()) for part in others)

    @property
    def total_bytes(self) -> int:
        """What the GPU must have: allocated, and what torch does not count (CUDA context, NCCL, fragmentation)."""
        return self.allocated_bytes + sum(self.outside_bytes.values())

    @property
    def dominant(self) -> str:
        """The largest term's name; of the activations the module that saves most, as in `activations: expert_fc1`."""
        terms = self.terms_bytes
        name = max(terms, key=terms.__getitem__)
        if name == "activations":
            return f"activations: {max(self.activations_bytes, key=self.activations_bytes.__getitem__)}"
        return name


def stage_memory(job: Training) -> tuple[StageMemory, ...]:
    """The memory of each pipeline rank. ConfigError for a tensor that the mapping does not divide."""
    schedule = Schedule(microbatches=job.microbatches, overlapped=job.overlap.expert)
    peaks = activation_peaks(
        job.arch, job.pipeline, job.parallel, microbatch_shard(job), job.recompute, schedule, cross_entropy(job)
    )
    outside = {"nccl": nccl_bytes(job), "dispatcher": dispatcher_bytes(job), "context": CONTEXT_BYTES}
    return tuple(_rank_memory(job, rank, peak, outside) for rank, peak in enumerate(peaks))


def peak_stage(stages: Sequence[StageMemory]) -> StageMemory:
    """The pipeline rank that needs most."""
    return max(stages, key=lambda stage: stage.total_bytes)


def _rank_memory(job: Training, rank: int, at_peak: ActivationPeak, outside: Mapping[str, int]) -> StageMemory:
    states = model_states(job, at_peak.parameters)
    saved, transient, peak = at_peak.saved, at_peak.transient, at_peak.peak_bytes
    stepping = optimizer_step_bytes(job, at_peak.parameters)
    if stepping > peak:
        saved, transient, peak = {}, {"optimizer step": stepping}, stepping
    allocated = sum(states) + peak + WORKSPACE_BYTES + at_peak.dummy_gradients_bytes
    return StageMemory(
        rank=rank,
        weights_bytes=states.weights,
        grads_bytes=states.grads,
        main_weights_bytes=states.main_weights,
        optimizer_bytes=states.moments,
        activations_bytes=saved,
        transient_bytes=transient,
        buffers_bytes={"workspaces": WORKSPACE_BYTES, "dummy gradients": at_peak.dummy_gradients_bytes},
        outside_bytes={**outside, "fragmentation": round(FRAGMENTATION * allocated)},
    )
