"""Tiny models, as Megatron's arguments: like DeepSeek-V3, like Mixtral and Qwen2, and like Qwen3 (normed heads)."""

ON_CPU = (
    *("--transformer-impl", "local", "--distributed-backend", "gloo"),
    *("--no-rope-fusion", "--no-masked-softmax-fusion", "--no-gradient-accumulation-fusion"),
    *("--no-persist-layer-norm", "--no-bias-swiglu-fusion", "--no-bias-dropout-fusion"),
)
TRAINING = (
    *("--micro-batch-size", "1", "--global-batch-size", "4", "--seq-length", "32", "--train-iters", "10"),
    # Below this epsilon Adam makes whole steps of gradients that are only rounding, each mapping its own.
    *("--lr", "1e-3", "--min-lr", "1e-3", "--adam-eps", "1e-5"),
    *("--hidden-dropout", "0", "--attention-dropout", "0"),
    *("--log-interval", "1", "--eval-iters", "0", "--eval-interval", "1000", "--mock-data"),
    *("--tokenizer-type", "NullTokenizer", "--vocab-size", "256", "--make-vocab-size-divisible-by", "8"),
)
SHAPE = (
    *("--num-layers", "4", "--hidden-size", "32", "--ffn-hidden-size", "64", "--num-attention-heads", "4"),
    *("--max-position-embeddings", "32", "--position-embedding-type", "rope", "--untie-embeddings-and-output-weights"),
    *("--normalization", "RMSNorm", "--swiglu", "--disable-bias-linear"),
    *("--num-experts", "8", "--moe-router-topk", "2", "--moe-ffn-hidden-size", "16"),
    *("--moe-shared-expert-intermediate-size", "16", "--moe-token-dispatcher-type", "alltoall"),
)
LATENT = (
    *SHAPE,
    *("--multi-latent-attention", "--q-lora-rank", "16", "--kv-lora-rank", "16", "--qk-layernorm"),
    *("--qk-head-dim", "8", "--qk-pos-emb-head-dim", "8", "--v-head-dim", "12", "--rope-type", "rope"),
    *("--moe-layer-freq", "[0,1,1,1]", "--moe-router-num-groups", "4", "--moe-router-group-topk", "2"),
    *("--moe-router-score-function", "sigmoid", "--moe-router-dtype", "fp32"),
    *("--moe-router-enable-expert-bias", "--moe-router-bias-update-rate", "1e-3"),
    *("--moe-router-load-balancing-type", "seq_aux_loss", "--moe-aux-loss-coeff", "1e-3"),
    *("--mtp-num-layers", "1", "--mtp-loss-scaling-factor", "0.3"),
)
GROUPED_QUERY = (
    *SHAPE,
    *("--group-query-attention", "--num-query-groups", "2", "--add-qkv-bias"),
    *("--moe-router-pre-softmax", "--moe-shared-expert-gate"),
    *("--moe-router-load-balancing-type", "aux_loss", "--moe-aux-loss-coeff", "1e-3"),
)
NORMED_HEADS = (*GROUPED_QUERY, "--qk-layernorm")
GROUPED_GEMM = ("--moe-grouped-gemm",)
