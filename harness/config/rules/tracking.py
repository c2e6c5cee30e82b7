"""Rules of experiment tracking: WandB and TensorBoard, by Megatron's own writers."""

from collections.abc import Iterator

from harness.config.directives import Derived, Directive, Env, Flag, Notice
from harness.config.draft import Draft

_MAPPING = (("TP", "TP"), ("PP", "PP"), ("EP", "EP"), ("CP", "CP"), ("VPP", "VPP"), ("-MBS", "MBS"), ("GBS", "GBS"))


def wandb(draft: Draft) -> Iterator[Directive]:
    """The experiment is named by model, mapping and COMMENT. Online needs a key; a notice gives mode and reason."""
    asked = draft.text("WANDB_MODE")
    mode, why = _mode(asked, keyed="WANDB_API_KEY" in draft.has_secret)
    if mode != asked:
        yield Derived(name="WANDB_MODE", value=mode)
    yield Notice(text=f"WandB: {mode}, as {why}")
    yield Env(name="WANDB_MODE", value=mode)
    if mode == "disabled" and not draft.flags.has("--wandb-project"):
        return
    release = draft.text("MCORE_RELEASE_VERSION")
    flags = {
        "--wandb-project": draft.text("WANDB_PROJECT") or f"moe-benchmarking-v{release}",
        "--wandb-exp-name": experiment_name(draft),
        "--wandb-save-dir": "${RUN_DIR}/wandb",
    }
    yield from (Flag(flag=flag, value=value) for flag, value in flags.items() if not draft.flags.has(flag))


def _mode(asked: str, *, keyed: bool) -> tuple[str, str]:
    """The mode, and why."""
    if asked == "online" and not keyed:
        return "offline", "WANDB_MODE=online needs a WANDB_API_KEY, and none is set; `wandb sync` sends it later"
    if asked:
        return asked, f"WANDB_MODE={asked} asks"
    if keyed:
        return "online", "WANDB_API_KEY is set"
    return "disabled", "WANDB_API_KEY is not set; WANDB_MODE=offline keeps a local copy"


def tensorboard(draft: Draft) -> Iterator[Directive]:
    """Megatron logs to WandB only beside TensorBoard; the embedded engine goes without where neither is asked for."""
    if not draft.embedded or draft.flags.has("--wandb-project"):
        yield Flag(flag="--tensorboard-dir", value="${RUN_DIR}/tensorboard")


def experiment_name(draft: Draft) -> str:
    """`DeepSeek-V3-TP1PP16EP64CP1VPP1-MBS1GBS8192-v0.19`."""
    mapping = "".join(f"{label}{draft.text(name)}" for label, name in _MAPPING)
    comment = draft.text("COMMENT") or f"v{draft.text('MCORE_RELEASE_VERSION')}"
    return f"{draft.text('MODEL')}-{mapping}-{comment}"
