"""Rules of loading and saving."""

from collections.abc import Iterator

from harness.config.directives import Derived, Directive, Flag, Problem
from harness.config.draft import Draft


def load(draft: Draft) -> Iterator[Directive]:
    """PRETRAIN=1 starts from scratch, 0 from LOAD_PATH; auto from LOAD_PATH if there is one."""
    path = draft.text("LOAD_PATH")
    if draft.text("PRETRAIN") == "auto":
        yield Derived(name="PRETRAIN", value="0" if path else "1")
    if draft.text("PRETRAIN") == "1":
        return
    if not path:
        yield Problem(
            text=f"PRETRAIN=0 ({draft.origin('PRETRAIN')}) starts from a checkpoint, but LOAD_PATH is not set; "
            "set LOAD_PATH=DIR, or PRETRAIN=1 to start from scratch"
        )
        return
    yield draft.carrier("LOAD_PATH")
    yield Flag(flag="--finetune")
    yield Flag(flag="--no-load-optim")
    yield Flag(flag="--no-load-rng")
    yield Flag(flag="--auto-detect-ckpt-format")
    yield Flag(flag="--exit-on-missing-checkpoint")  # without it a missing tracker silently trains random weights


def save(draft: Draft) -> Iterator[Directive]:
    """SAVE_INTERVAL=n saves every n steps into the run's own folder, and when the job is asked to end; unset: never."""
    if draft.integer("SAVE_INTERVAL"):
        yield Flag(flag="--save", value="${RUN_DIR}/checkpoints")
        yield draft.carrier("SAVE_INTERVAL")
        yield Flag(flag="--ckpt-format", value="torch_dist")
        yield Flag(flag="--exit-signal-handler")
