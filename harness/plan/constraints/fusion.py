"""Fused kernels: rotary embeddings, activations, token permutation, the loss."""

from collections.abc import Iterator

from harness.config.releases import Release
from harness.plan.violation import Case, Violation, needs_te, refused

NO_ROPE_FUSION = "--no-rope-fusion"
YARN_ONLY = Release(0, 13)  # first release that checks which rotary embedding MLA fuses
ONE_ROPE_TYPE = Release(0, 14)
NO_TE_CROSS_ENTROPY = Release(0, 18)
INTERLEAVED_TE = Release(2, 3)
PERMUTE_FUSION_TE = Release(2, 1)
ATTENTION_LOGIT_TE = Release(2, 9)
PERMUTE_FUSION = "--moe-permute-fusion"
INTERLEAVED = "--rotary-interleaved"


def rotary(case: Case) -> Iterator[Violation]:
    """Rotary embeddings: MLA's are YaRN where they are fused, and nobody else's are (TransformerConfig)."""
    args, kind = case.args, case.args.text("--rope-type")
    latent, fused = args.switch("--multi-latent-attention"), _fuses_rope(case)
    if latent and kind == "rope" and fused and case.release >= YARN_ONLY:
        found, fix = "fused --rope-type rope in multi-latent attention", f"add {NO_ROPE_FUSION}"
        yield refused("fusion", found, "yarn", fix, "--rope-type", NO_ROPE_FUSION)
    if not latent and kind == "yarn" and case.release >= ONE_ROPE_TYPE:
        found, fix = "--rope-type yarn without --multi-latent-attention", "--rope-type rope"
        yield refused("fusion", found, "rope", fix, "--rope-type", "--multi-latent-attention")
    if latent and args.switch(INTERLEAVED):
        found, fix = f"{INTERLEAVED} with --multi-latent-attention", f"leave {INTERLEAVED} out"
        yield refused("fusion", found, "one of the two", fix, INTERLEAVED)
    if not latent and fused and args.switch(INTERLEAVED) and case.older_te(INTERLEAVED_TE):
        yield needs_te("fusion", f"fused {INTERLEAVED}", INTERLEAVED_TE, INTERLEAVED, "TE_VERSION")


def _fuses_rope(case: Case) -> bool:
    rope = case.args.text("--position-embedding-type", "learned_absolute") == "rope"
    rope = rope or case.args.switch("--use-rotary-position-embeddings")
    return rope and not case.args.switch(NO_ROPE_FUSION)


def activation(case: Case) -> Iterator[Violation]:
    """One activation function, and a fused bias only where a kernel has it (TransformerConfig)."""
    args = case.args
    functions = [flag for flag in ("--swiglu", "--squared-relu", "--quick-geglu") if args.switch(flag)]
    if "--swiglu" in functions and len(functions) > 1:
        found = " with ".join(functions)
        yield refused("fusion", found, "one of them", f"leave {functions[1]} out", *functions)
        return
    switch = "--no-bias-swiglu-fusion" if functions == ["--swiglu"] else "--no-bias-gelu-fusion"
    biased = functions == ["--swiglu"] or not args.switch("--disable-bias-linear")
    fuses = biased and not args.switch(switch)
    if fuses and functions[:1] == ["--squared-relu"]:
        yield refused("fusion", "a fused bias with --squared-relu", f"{switch}", f"add {switch}", *functions, switch)
    ours = "--use-te-activation-func"
    if args.switch(ours) and fuses:
        yield refused("fusion", f"{ours} with a fused bias", f"{switch}", f"add {switch}", ours, switch)
    elif args.switch(ours) and functions[:1] in (["--squared-relu"], ["--quick-geglu"]):
        found = f"{ours} with {functions[0]}"
        yield refused("fusion", found, "gelu, --swiglu", f"leave {ours} out", ours, functions[0])


def permutation(case: Case) -> Iterator[Violation]:
    """Fused token permutation is Transformer Engine's (TransformerConfig)."""
    if case.args.switch(PERMUTE_FUSION) and case.older_te(PERMUTE_FUSION_TE):
        yield needs_te("fusion", PERMUTE_FUSION, PERMUTE_FUSION_TE, "TE_VERSION", PERMUTE_FUSION)


def cross_entropy(case: Case) -> Iterator[Violation]:
    """Transformer Engine's fused loss was withdrawn (validate_args)."""
    flag, kind = "--cross-entropy-loss-fusion", "--cross-entropy-fusion-impl"
    if case.args.switch(flag) and case.args.text(kind) == "te" and case.release >= NO_TE_CROSS_ENTROPY:
        yield refused("fusion", f"{flag} with {kind} te", "native", f"{kind} native", kind, flag)


def projections(case: Case) -> Iterator[Violation]:
    """The fused down projection is that of multi-latent attention (validate_args)."""
    flag, latent = "--mla-down-proj-fusion", "--multi-latent-attention"
    if case.args.switch(flag) and not case.args.switch(latent):
        yield refused("fusion", f"{flag} without {latent}", "with it", f"leave {flag} out", flag, latent)


def attention_logits(case: Case) -> Iterator[Violation]:
    """The largest logit comes out of Transformer Engine's attention (validate_args)."""
    for flag in ("--qk-clip", "--log-max-attention-logit"):
        if case.args.switch(flag) and case.older_te(ATTENTION_LOGIT_TE):
            yield needs_te("fusion", flag, ATTENTION_LOGIT_TE, "TE_VERSION", flag)
