"""Rules of what runs the model: Transformer Engine's layers, or the embedded engine's on GPUs or CPU ranks."""

import math
from collections.abc import Iterator

from harness.config.directives import Derived, Directive, Env, Flag, Notice, Problem
from harness.config.draft import Draft
from harness.config.layers import LAYER_ORDER

# Kernels of Transformer Engine or Apex, which the embedded engine does without.
NO_FUSED_KERNELS = (
    "--no-rope-fusion",
    "--no-masked-softmax-fusion",
    "--no-gradient-accumulation-fusion",
    "--no-persist-layer-norm",
)
# Kernels that PyTorch compiles by its JIT; on CPU they only cost compile time.
NO_JIT_KERNELS = ("--no-bias-swiglu-fusion", "--no-bias-dropout-fusion")


def device(draft: Draft) -> Iterator[Directive]:
    """DEVICE=auto: this machine's GPUs if it has any, as many ranks as GPUs, and an EP that they can hold."""
    if draft.text("DEVICE") != "auto":
        return
    yield Derived(name="DEVICE", value="gpu" if draft.gpus else "cpu")
    if draft.gpus and draft.layer_rank("GPUS_PER_NODE", LAYER_ORDER) < LAYER_ORDER.index("environment"):
        yield Notice(text=f"this machine has {draft.gpus} GPUs, so GPUS_PER_NODE={draft.gpus}")
        yield Derived(name="GPUS_PER_NODE", value=draft.gpus)
        if draft.layer_rank("EP", LAYER_ORDER) < LAYER_ORDER.index("environment"):
            yield Derived(name="EP", value=math.gcd(draft.integer("EP"), draft.gpus))


def gpus(draft: Draft) -> Iterator[Directive]:
    """GPUS counts the GPUs of the whole job: NNODES follows, and GPUS_PER_NODE where they do not fill a node."""
    wanted, node = draft.integer("GPUS"), draft.integer("GPUS_PER_NODE")
    if not wanted:
        return
    where = f"GPUS={wanted} ({draft.origin('GPUS')})"
    rank = draft.layer_rank("GPUS", LAYER_ORDER)
    if draft.layer_rank("NNODES", LAYER_ORDER) >= rank and draft.integer("NNODES") * node != wanted:
        also = f"NNODES={draft.text('NNODES')} ({draft.origin('NNODES')})"
        yield Problem(text=f"{where}, but {also} with GPUS_PER_NODE={node}; keep one of them")
    elif wanted < node and draft.layer_rank("GPUS_PER_NODE", LAYER_ORDER) < rank:
        yield Derived(name="NNODES", value=1)
        yield Derived(name="GPUS_PER_NODE", value=wanted)
    elif wanted % node:
        below = wanted // node * node
        near = " or ".join(str(count) for count in (below, below + node) if count)
        yield Problem(text=f"{where} fills no whole nodes of GPUS_PER_NODE={node}; allowed near it: {near}")
    else:
        yield Derived(name="NNODES", value=wanted // node)


def transformer_impl(draft: Draft) -> Iterator[Directive]:
    """Without MEGATRON_PATH the embedded engine trains with torch-native layers."""
    if not draft.embedded:
        yield Flag(flag="--transformer-impl", value="transformer_engine")
        return
    yield Flag(flag="--transformer-impl", value="local")
    for flag in NO_FUSED_KERNELS:
        yield Flag(flag=flag)


def cpu_ranks(draft: Draft) -> Iterator[Directive]:
    """DEVICE=cpu: gloo, and no GPU in sight."""
    if draft.text("DEVICE") != "cpu":
        return
    yield Env(name="CUDA_VISIBLE_DEVICES", value="")
    yield Flag(flag="--distributed-backend", value="gloo")
    for flag in NO_JIT_KERNELS:
        yield Flag(flag=flag)
