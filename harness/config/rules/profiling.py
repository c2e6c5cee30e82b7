"""Rules of profiling."""

from collections.abc import Iterator

from harness.config.directives import Directive, Flag, Notice
from harness.config.draft import Draft

FIRST_STEP, LAST_STEP = 10, 12  # after warm-up, and few, so that the trace stays readable


def profile(draft: Draft) -> Iterator[Directive]:
    """PROFILE=1 or nsys: Nsight Systems around the job; torch: PyTorch's own profiler."""
    chosen = draft.text("PROFILE")
    if chosen in ("", "0"):
        return
    last = min(LAST_STEP, draft.integer("TRAIN_ITERS"))
    if draft.text("DEVICE") == "cpu":
        yield Notice(text=f"PROFILE={chosen} has no effect on CPU ranks: Megatron profiles CUDA")
        return
    yield Flag(flag="--profile")
    yield Flag(flag="--profile-step-start", value=str(min(FIRST_STEP, last - 1)))
    yield Flag(flag="--profile-step-end", value=str(last))
    yield Flag(flag="--profile-ranks", value=("0",))
    if chosen == "torch":
        yield Flag(flag="--use-pytorch-profiler")
