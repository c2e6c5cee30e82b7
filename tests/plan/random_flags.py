"""Random configurations of a tiny model: a sound base, and a few subjects on which the draw may say anything."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from harness.config.megatron_args import ArgValue, MegatronArgs
from harness.config.releases import Release

type Draw = Callable[[st.SearchStrategy[object]], object]
type Flags = dict[str, ArgValue]

LAYOUTS = (
    "Et*6|t*6L",
    "E|(tt|)*6,L",
    "Et*4|t*4|t*4L",
    "Ettt|(ttt|)*3L",
    "Ett|(ttt|)*3tm|L",
    "Et*6|t*6mL",
    "Ett|tm|tL",
    "Et*12,L",
    "Et*12m|L",
    "t*12|EL",
    "EtxL",
)
RECOMPUTED = ("core_attn", "moe_act", "layernorm", "mla_up_proj", "mlp", "moe", "shared_experts", "gdn_norm_out")
CAPTURED = ("attn", "mlp", "moe", "moe_router", "moe_preprocess", "full", "full_iteration")
OFFLOADED = ("core_attn", "attn_proj", "expert_fc1", "moe_act", "attn_norm", "mlp_norm", "qkv_linear", "embedding")
RECIPES = ("tensorwise", "delayed", "mxfp8", "blockwise", "custom")


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What Megatron would be started with."""

    args: MegatronArgs
    world_size: int
    gpu: str
    te: Release
    env: Mapping[str, str]


class Dice:
    """Draws for flags; the first of several is the sound one, which counter-examples shrink to."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def one[T](self, *options: T) -> T:
        """Any of them alike."""
        return self._draw(st.sampled_from(options))  # type: ignore[return-value]

    def mostly[T](self, usual: T, *others: T) -> T:
        """`usual` three times in four."""
        return self.one(*[usual] * 3 * len(others), *others)

    def some(self, *options: str) -> tuple[str, ...]:
        """One to three of them, without repeats."""
        return tuple(self._draw(st.lists(st.sampled_from(options), min_size=1, max_size=3, unique=True)))  # type: ignore[arg-type]

    def sets(self, *switches: str, share: int = 2) -> Flags:
        """Each switch on, one time in `share`."""
        return {flag: True for flag in switches if self.one(*[False] * (share - 1), True)}


def sound(dice: Dice) -> Flags:
    """A base that Megatron runs on 48 GPUs, on few of its roads."""
    tp, experts = dice.one("1", "1", "2"), dice.one("12", "12", "12", "0")
    return {
        "--num-layers": "12",
        "--hidden-size": "192",
        "--ffn-hidden-size": "768",
        "--num-attention-heads": "12",
        "--max-position-embeddings": "128",
        "--seq-length": "96",
        "--micro-batch-size": "1",
        "--global-batch-size": dice.one("96", "192"),
        "--vocab-size": "1000",
        "--swiglu": True,
        "--disable-bias-linear": True,
        "--position-embedding-type": "rope",
        "--num-experts": experts,
        "--moe-token-dispatcher-type": "alltoall",
        "--tensor-model-parallel-size": tp,
        "--sequence-parallel": tp != "1",
        "--pipeline-model-parallel-size": dice.one("1", "1", "2"),
        "--expert-model-parallel-size": "1" if experts == "0" else dice.one("1", "2", "4"),
        "--bf16": True,
        "--lr": "1e-4",
        "--train-iters": "100",
    }


def shapes(dice: Dice) -> Flags:
    """Layers, widths, heads, sequence and batch."""
    return {
        "--num-layers": dice.mostly("12", "8", "7"),
        "--num-attention-heads": dice.mostly("12", "6", "8", "5"),
        "--max-position-embeddings": dice.mostly("128", "64"),
        "--seq-length": dice.mostly("96", "120", "98"),
        "--micro-batch-size": dice.mostly("1", "2", "3"),
        "--global-batch-size": dice.mostly("96", "48", "100", "24"),
        "--num-experts": dice.mostly("12", "4", "8", "0", "1"),
        "--untie-embeddings-and-output-weights": dice.one(True, False),
        "--position-embedding-type": dice.mostly("rope", "learned_absolute", "none"),
    }


def mapping(dice: Dice) -> Flags:
    """All parallel sizes."""
    tp = dice.mostly("1", "2", "3", "4")
    flags: Flags = {
        "--tensor-model-parallel-size": tp,
        "--sequence-parallel": dice.mostly(tp != "1", False),
        "--pipeline-model-parallel-size": dice.one("1", "2", "3", "4"),
        "--context-parallel-size": dice.mostly("1", "2", "4", "3"),
        "--expert-model-parallel-size": dice.mostly("2", "3", "8", "6"),
    }
    if dice.one(False, True):
        flags["--expert-tensor-parallel-size"] = dice.one("1", "2")
    return flags


def pipeline(dice: Dice) -> Flags:
    """Uneven stages, virtual ones, layouts, and what counts as a layer."""
    flags: Flags = {"--pipeline-model-parallel-size": dice.one("2", "1", "3", "4")}
    kind = dice.one("vpp", "per-stage", "uneven", "uneven-vpp", "account", "layout", "mixed")
    if kind in {"vpp", "uneven-vpp", "mixed"}:
        flags["--num-virtual-stages-per-pipeline-rank"] = dice.one("1", "2", "3")
    if kind == "per-stage" or (kind == "mixed" and dice.one(False, False, True)):
        flags["--num-layers-per-virtual-pipeline-stage"] = dice.one("1", "2", "3")
    if kind.startswith("uneven") or kind == "mixed":
        flags["--decoder-first-pipeline-num-layers"] = dice.one("4", "2", "1")
        if dice.one(True, False):
            flags["--decoder-last-pipeline-num-layers"] = dice.one("8", "2", "4", "6", "10")
    if kind in {"account", "mixed"}:
        flags |= dice.sets("--account-for-embedding-in-pipeline-split", "--account-for-loss-in-pipeline-split")
    if kind == "layout":
        flags["--pipeline-model-parallel-layout"] = dice.one(*LAYOUTS)
    return flags | dice.sets("--no-overlap-p2p-communication", share=6)


def attention(dice: Dice) -> Flags:
    """Grouped, latent, and what only one of them has."""
    grouped: Flags = {"--group-query-attention": True, "--num-query-groups": dice.one("6", "2", "1", "3", "4")}
    latent: Flags = {"--multi-latent-attention": True, "--kv-lora-rank": "16"}
    flags = dice.one(grouped, latent, {}, grouped | latent)
    more = {"--rope-type": dice.one("yarn", "rope")} if dice.one(False, False, True) else {}
    return flags | more | dice.sets("--rotary-interleaved", "--no-rope-fusion", "--mla-down-proj-fusion", share=5)


def routing(dice: Dice) -> Flags:
    """Scores, groups, biases and balancing."""
    flags: Flags = {"--moe-router-topk": dice.mostly("2", "1", "4", "6", "13")}
    flags |= dice.sets("--moe-router-pre-softmax")
    if dice.one(False, True):
        flags["--moe-router-group-topk"] = dice.mostly("1", "2", "3", "4")
        flags["--moe-router-num-groups"] = dice.mostly("2", "3", "6", "5")
    if dice.one(False, False, True):
        flags["--moe-router-enable-expert-bias"] = True
        flags["--moe-router-score-function"] = dice.one("sigmoid", "sqrtsoftplus", "softmax")
    flags["--moe-router-load-balancing-type"] = dice.mostly("aux_loss", "sinkhorn", "none", "seq_aux_loss")
    if dice.one(False, False, True):
        flags["--moe-aux-loss-coeff"] = dice.one("0", "1e-2")
    elif dice.one(False, False, True):
        flags["--moe-router-load-balancing-type"] = ("aux_loss", "seq_aux_loss")
        flags["--moe-aux-loss-coeff"] = dice.one(("1e-2", "1e-3"), ("1e-2",))
    if dice.one(False, False, True):
        flags["--moe-ffn-hidden-size"] = "64"
    return flags


def dispatch(dice: Dice) -> Flags:
    """Dispatchers, their backends, and shared experts beside them."""
    flags: Flags = {
        "--moe-token-dispatcher-type": dice.one("alltoall", "allgather", "flex"),
        "--expert-model-parallel-size": dice.mostly("2", "1"),
    }
    if dice.one(False, True):
        flags["--moe-flex-dispatcher-backend"] = dice.one("deepep", "hybridep", "ncclep")
    if dice.one(False, True):
        flags["--moe-shared-expert-intermediate-size"] = "96"
    return flags | dice.sets("--moe-enable-deepep", "--moe-shared-expert-overlap", "--moe-permute-fusion", share=4)


def capacity(dice: Dice) -> Flags:
    """Dropped and padded tokens."""
    flags: Flags = {"--moe-token-dispatcher-type": dice.mostly("alltoall", "allgather", "flex")}
    flags["--moe-flex-dispatcher-backend"] = dice.one("deepep", "hybridep")
    if dice.mostly(True, False):
        flags["--moe-expert-capacity-factor"] = dice.mostly("1.0", "-1")
    if dice.one(False, False, True):
        flags["--moe-router-load-balancing-type"] = dice.one("aux_loss", "sinkhorn", "global_aux_loss")
    if dice.one(False, False, False, True):
        flags["--moe-expert-rank-capacity-factor"] = "1.5"
        flags["--moe-flex-dispatcher-backend"] = dice.one("hybridep", "deepep", "ncclep")
    flags |= {"--moe-token-drop-policy": dice.one("probs", "position")}
    return flags | dice.sets("--moe-pad-expert-input-to-capacity", "--use-transformer-engine-op-fuser")


def prediction(dice: Dice) -> Flags:
    """Multi-token prediction."""
    kind = dice.mostly("rope", "learned_absolute", "none")
    return {"--mtp-num-layers": dice.mostly("1", "2", "0"), "--position-embedding-type": kind}


def schedule(dice: Dice) -> Flags:
    """Rates and lengths."""
    flags: Flags = {"--lr": dice.mostly("1e-4", "-0.1", "nan"), "--min-lr": dice.mostly("1e-5", "1e-4", "1e-3")}
    if dice.one(False, True):
        flags |= {"--train-iters": False, "--train-samples": "9600"}
    if dice.one(False, True):
        flags[f"--lr-{dice.one('warmup', 'decay')}-{dice.one('iters', 'samples')}"] = dice.mostly("50", "0")
    if dice.one(False, False, True):
        flags["--lr-warmup-fraction"] = "0.1"
    if dice.one(False, False, True):
        flags["--weight-decay-incr-style"] = dice.one("constant", "linear")
        flags["--start-weight-decay"] = "0.1"
        flags |= {"--end-weight-decay": "0.2"} if dice.one(True, False) else {}
    if dice.one(False, False, True):
        flags["--eval-global-batch-size"] = dice.one("96", "100")
    if dice.one(False, False, True):
        flags["--eval-micro-batch-size"] = dice.one("1", "2", "5")
    return flags


def expert_overlap(dice: Dice) -> Flags:
    """All-to-all beside computation, and weight gradients put off."""
    flags: Flags = {
        "--num-experts": "12",
        "--overlap-moe-expert-parallel-comm": dice.mostly(True, False),
        "--expert-model-parallel-size": dice.mostly("4", "1"),
        "--pipeline-model-parallel-size": dice.mostly("1", "2"),
    }
    if dice.one(False, False, False, True):
        flags["--moe-token-dispatcher-type"] = dice.one("alltoall", "allgather", "flex")
    flags |= dice.sets("--delay-wgrad-compute", "--overlap-grad-reduce")
    late = ("--ep-overlap-early-attn-memory-release", "--overlap-dispatch-backward-with-experts-wgrad")
    return flags | dice.sets(*late, "--no-gradient-accumulation-fusion", "--moe-shared-expert-overlap", share=6)


def recompute(dice: Dice) -> Flags:
    """Whole layers, modules, and mixtures of the two ways of saying it."""
    kind = dice.one("selective", "selective", "full", "switch", "none")
    flags: Flags = {"--moe-grouped-gemm": dice.mostly(True, False)}
    if kind in {"selective", "full"}:
        flags["--recompute-granularity"] = kind
    if kind == "switch":
        flags["--recompute-activations"] = True
    if kind != "full":
        flags["--recompute-modules"] = dice.some(*RECOMPUTED)
    if dice.mostly(kind == "full", kind != "full"):
        flags["--recompute-method"] = dice.one("uniform", "block")
    if dice.mostly(kind == "full", kind != "full"):
        flags["--recompute-num-layers"] = "1"
    if dice.one(False, False, True):
        flags |= {"--multi-latent-attention": True, "--moe-shared-expert-intermediate-size": "96"}
    rare = ("--moe-layer-recompute", "--distribute-saved-activations", "--moe-shared-expert-overlap")
    return flags | dice.sets(*rare, share=8)


def cuda_graphs(dice: Dice) -> Flags:
    """Graphs by every implementation, of every part."""
    flags: Flags = {"--cuda-graph-impl": dice.one("transformer_engine", "local", "full_iteration", "none")}
    if dice.one(True, False):
        flags[dice.mostly("--cuda-graph-modules", "--cuda-graph-scope")] = dice.some(*CAPTURED)
    dropout: Flags = {"--attention-dropout": "0", "--hidden-dropout": "0"}
    if dice.one(False, False, True):
        flags["--moe-layer-freq"] = "([0]*2+[1]*10)"
    if dice.one(False, False, True):
        flags |= {"--moe-expert-capacity-factor": "1.0", "--moe-pad-expert-input-to-capacity": dice.one(True, False)}
    flags |= dice.mostly(dropout, {})
    flags |= dice.sets("--no-check-for-nan-in-loss-and-grad", share=2)
    return flags | dice.sets("--enable-cuda-graph", "--external-cuda-graph", share=10)


def quantized(dice: Dice) -> Flags:
    """fp8 by every recipe, fp4, and what is kept in them."""
    flags: Flags = {"--use-distributed-optimizer": dice.mostly(True, False), "--moe-grouped-gemm": True}
    if dice.mostly(True, False):
        flags |= {"--fp8-format": dice.one("e4m3", "hybrid"), "--fp8-recipe": dice.one(*RECIPES)}
    if dice.one(*[False] * 5, True):
        flags["--fp4-format"] = "e2m1"
    if dice.one(False, False, False, True):
        flags |= {"--first-last-layers-bf16": True, "--num-layers-at-start-in-bf16": dice.one("1", "13")}
    gathers = ("--fp8-param-gather", "--reuse-grad-buf-for-mxfp8-param-ag", "--moe-router-padding-for-quantization")
    flags |= dice.sets(*gathers, share=3)
    return flags | dice.sets("--fp4-param-gather", "--fp8-output-proj", "--fp8-quantizer-factory", share=8)


def numbers(dice: Dice) -> Flags:
    """Half and full precision, and what depends on them."""
    kind = dice.one({"--bf16": True}, {"--bf16": False}, {"--bf16": False, "--fp16": True}, {"--fp16": True})
    activation = dice.one(
        {}, {"--swiglu": False}, {"--swiglu": False, "--squared-relu": True}, {"--squared-relu": True}
    )
    rare = ("--fp32-residual-connection", "--fp16-lm-cross-entropy", "--cross-entropy-loss-fusion")
    more = dice.sets(*rare, "--use-te-activation-func", "--no-bias-swiglu-fusion", "--no-bias-gelu-fusion", share=5)
    impl: Flags = {"--cross-entropy-fusion-impl": dice.one("native", "te")}
    return {**kind, **activation, **more, **impl, "--disable-bias-linear": dice.mostly(True, False)}


def optimizer(dice: Dice) -> Flags:
    """Spread, overlapped, narrow and offloaded states."""
    flags: Flags = {"--use-distributed-optimizer": dice.mostly(True, False)}
    flags |= dice.sets("--overlap-grad-reduce", "--overlap-param-gather", "--use-precision-aware-optimizer")
    flags |= dice.sets("--optimizer-cpu-offload", share=3)
    if dice.one(False, True):
        flags["--exp-avg-dtype"] = dice.one("fp32", "bf16", "fp8")
        flags["--main-params-dtype"] = dice.one("fp32", "fp16")
        flags["--main-grads-dtype"] = dice.mostly("fp32", "bf16")
    flags["--optimizer"] = dice.mostly("adam", "sgd")
    late = ("--accumulate-allreduce-grads-in-fp32", "--grad-reduce-in-bf16", "--fp8-param-gather")
    flags |= dice.sets("--overlap-param-gather-with-optimizer-step", share=12)
    return flags | {"--ckpt-format": dice.mostly("torch_dist", "torch")} | dice.sets(*late, share=8)


def offload(dice: Dice) -> Flags:
    """Activations in host memory."""
    if dice.one(False, False, True):
        return {"--cpu-offloading-num-layers": dice.one("4", "12", "0"), "--pipeline-model-parallel-size": "1"}
    flags: Flags = {"--fine-grained-activation-offloading": True, "--offload-modules": dice.some(*OFFLOADED)}
    if dice.one(*[False] * 5, True):
        flags["--activation-offload-fraction"] = dice.one("0.5", "1.5")
    return flags


def communication(dice: Dice) -> Flags:
    """TP beside GEMMs, kinds of CP, the embedding's gradient."""
    cp = dice.one("2", "1", "4")
    flags: Flags = {"--context-parallel-size": cp}
    flags["--cp-comm-type"] = dice.one(("p2p",), ("a2a",), ("a2a+p2p",), ("p2p", "a2a"), ("a2a",) * 12)
    if dice.one(False, False, True):
        flags["--hierarchical-context-parallel-sizes"] = dice.one(("1", cp), ("2", "2"))
    return flags | dice.sets("--tp-comm-overlap", "--defer-embedding-wgrad-compute", share=3)


def sharding(dice: Dice) -> Flags:
    """Fully sharded data parallel, and the checkpoints of each kind."""
    which = dice.one("--use-megatron-fsdp", "--use-torch-fsdp2")
    fitting, other = ("fsdp_dtensor", "torch_dcp") if "megatron" in which else ("torch_dcp", "fsdp_dtensor")
    flags: Flags = {which: dice.mostly(True, False), "--ckpt-format": dice.mostly(fitting, other, "torch_dist")}
    if "torch" in which:
        flags |= {"--expert-model-parallel-size": "1", "--pipeline-model-parallel-size": "1"}
        flags |= {"--untie-embeddings-and-output-weights": dice.mostly(True, False)}
        flags |= {"--no-gradient-accumulation-fusion": dice.mostly(True, False)}
    return flags | dice.sets("--use-distributed-optimizer", "--overlap-grad-reduce", share=3)


SUBJECTS = (
    shapes,
    mapping,
    pipeline,
    attention,
    routing,
    dispatch,
    capacity,
    prediction,
    schedule,
    expert_overlap,
    recompute,
    cuda_graphs,
    quantized,
    numbers,
    optimizer,
    offload,
    communication,
    sharding,
)


@st.composite
def configurations(draw: Draw) -> Configuration:
    """The base with one or two subjects drawn at random."""
    dice = Dice(draw)
    flags = sound(dice)
    for subject in draw(st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=2, unique=True)):  # type: ignore[attr-defined]
        flags |= subject(dice)
    flags["--transformer-impl"] = dice.one(*["transformer_engine"] * 9, "local")
    if flags.pop("--fp8-quantizer-factory", False):
        flags["--fp8-quantizer-factory"] = "package.module.factory"
    gpu = dice.one("B200", "B200", "H100")
    te = Release.parse(dice.one(*["2.14"] * 6, "2.9", "2.5", "2.0", "1.10", "1.6"))
    world_size = dice.mostly(48, 8, 16, 32)
    return Configuration(args=MegatronArgs(flags), world_size=world_size, gpu=gpu, te=te, env=environment(dice, flags))


def environment(dice: Dice, flags: Mapping[str, ArgValue]) -> dict[str, str]:
    """The variables that validation reads."""
    sharded = any(flags.get(flag) for flag in ("--use-megatron-fsdp", "--use-torch-fsdp2"))
    env = {"CUDA_DEVICE_MAX_CONNECTIONS": dice.mostly("8", "1") if sharded else dice.mostly("1", "1", "8")}
    growing = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
    env |= dice.one({}, {}, {}, growing, growing | {"NCCL_GRAPH_REGISTER": "0"})
    return env | dice.mostly({"NVTE_CPU_OFFLOAD_V1": "1"}, {})
