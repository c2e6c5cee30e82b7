"""Rules by which one model description gives the right numbers on every Megatron release."""

from collections.abc import Iterator

from harness.config.directives import Directive, Flag, Notice, Problem, Replace
from harness.config.draft import Draft
from harness.config.releases import Release

_ROPE_TYPE = Release(0, 14)  # the first release with --rope-type; YaRN's original length is fixed there
_Q_NORM_WITHOUT_LORA = Release(0, 19)  # the release whose Transformer Engine spec wants a q norm that no model has


def yarn(draft: Draft) -> Iterator[Directive]:
    """Multi-latent attention rotates with YaRN, which has a flag from 0.14 on and can be fused only there."""
    if not draft.flags.has("--multi-latent-attention"):
        return
    if draft.release >= _ROPE_TYPE:
        yield Flag(flag="--rope-type", value="yarn")
    yield Flag(flag="--no-rope-fusion")


def long_context(draft: Draft) -> Iterator[Directive]:
    """SEQ_LEN beyond `--max-position-embeddings` raises it. Up to 0.13 that is also YaRN's original length."""
    limit = draft.flags.text("--max-position-embeddings")
    seq_len = draft.integer("SEQ_LEN")
    if not limit.isdigit() or seq_len <= int(limit):
        return
    origin = draft.flags.entry("--max-position-embeddings")
    if origin and origin.origin.layer == "extra flags":
        return  # the user's own number: `check` refuses it as too small
    if _stretches_positions(draft) and draft.release < _ROPE_TYPE:
        text = (
            f"SEQ_LEN={seq_len} ({draft.origin('SEQ_LEN')}) is beyond --max-position-embeddings {limit}, which up to "
            "Megatron 0.13 is YaRN's original length too: raising it bends every position"
        )
        if draft.text("PRETRAIN") == "0":
            yield Problem(text=f"{text}, so the checkpoint would be misread; use MCORE_RELEASE_VERSION 0.14 or newer")
            return
        yield Notice(text=f"{text}; from 0.14 on it does not")
    yield Replace(flag="--max-position-embeddings", value=str(seq_len))


def _stretches_positions(draft: Draft) -> bool:
    """Whether YaRN does anything; at a factor of 1 it is plain rope, whatever its original length."""
    factor = draft.flags.text("--rotary-scaling-factor")
    return draft.flags.has("--multi-latent-attention") and factor not in ("1", "1.0")


def missing_q_norm(draft: Draft) -> Iterator[Directive]:
    """0.19's Transformer Engine spec gives q a norm even without q LoRA; no published model has one there."""
    adds_norm = not draft.embedded and draft.release >= _Q_NORM_WITHOUT_LORA and draft.flags.has("--qk-layernorm")
    if not adds_norm or not draft.flags.has("--multi-latent-attention") or draft.flags.has("--q-lora-rank"):
        return
    yield Notice(
        text=f"Megatron 0.19 with Transformer Engine adds a q norm that {draft.text('MODEL')} does not have, and "
        "refuses checkpoints without it; 0.18 and the embedded engine build the model as published"
    )
