"""Rules of loading and saving."""

from collections.abc import Iterator

from harness.config.draft import Derived, Draft, Flag, Problem, Word


def load(draft: Draft) -> Iterator[Word]:
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
    yield Flag(flag="--load", value=path)
    yield Flag(flag="--finetune")
    yield Flag(flag="--no-load-optim")
    yield Flag(flag="--no-load-rng")
    yield Flag(flag="--auto-detect-ckpt-format")
    yield Flag(flag="--exit-on-missing-checkpoint")  # without it a missing tracker silently trains random weights


def save(draft: Draft) -> Iterator[Word]:
    """SAVE_INTERVAL=n saves every n steps into the run's own folder, and when the job is told to end; unset: never."""
    if draft.integer("SAVE_INTERVAL"):
        yield Flag(flag="--save", value="${RUN_DIR}/checkpoints")
        yield Flag(flag="--save-interval", value=draft.text("SAVE_INTERVAL"))
        yield Flag(flag="--ckpt-format", value="torch_dist")
        yield Flag(flag="--exit-signal-handler")
