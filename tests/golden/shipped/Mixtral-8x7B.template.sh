#!/bin/bash
#SBATCH --job-name=Mixtral-8x7B-benchmarking
#SBATCH --account=YOUR_ACCOUNT
#SBATCH --partition=YOUR_PARTITION
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --time=00:20:00
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --no-requeue
#SBATCH --open-mode=append

set -euo pipefail

# The run's own folder, made before the job starts: a job whose log has no folder dies without a word.
: "${RUN_DIR:?is not set: use moe-harness launch, or export RUN_DIR=its folder before sbatch}"
nodes=8 ranks=64
ended_states='BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|LAUNCH_FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|RECONFIG_FAIL|REVOKED|TIMEOUT'

#: owner.sh

#: attempt.sh

#: rendezvous.sh

last_step=50
#: checkpoints.sh

# The job's environment. Secrets are not here: they are inherited.
export TORCH_NCCL_AVOID_RECORD_STREAMS=1
export NVTE_ALLOW_NONDETERMINISTIC_ALGO=1
export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
export NCCL_NVLS_ENABLE=0
export NCCL_DEBUG=VERSION
export CUDA_DEVICE_MAX_CONNECTIONS=1
export NVTE_FWD_LAYERNORM_SM_MARGIN=0
export NVTE_BWD_LAYERNORM_SM_MARGIN=0
export WANDB_MODE=disabled

# What every rank runs.
program=(
  python -u /opt/megatron-lm/pretrain_gpt.py
  --num-layers 32
  --hidden-size 4096
  --ffn-hidden-size 14336
  --num-attention-heads 32
  --group-query-attention
  --num-query-groups 8
  --kv-channels 128
  --max-position-embeddings 32768
  --position-embedding-type rope
  --rotary-base 1000000
  --normalization RMSNorm
  --norm-epsilon 1e-5
  --swiglu
  --disable-bias-linear
  --untie-embeddings-and-output-weights
  --make-vocab-size-divisible-by 1000
  --num-experts 8
  --moe-router-topk 2
  --moe-router-load-balancing-type aux_loss
  --moe-aux-loss-coeff 2e-2
  --moe-router-dtype fp32
  --attention-dropout 0.0
  --hidden-dropout 0.0
  --weight-decay 0.1
  --clip-grad 1.0
  --init-method-std 0.02
  --lr-decay-style cosine
  --lr-warmup-fraction 0.01
  --adam-beta1 0.9
  --adam-beta2 0.95
  --tensor-model-parallel-size 1
  --pipeline-model-parallel-size 4
  --expert-model-parallel-size 8
  --context-parallel-size 1
  --expert-tensor-parallel-size 1
  --micro-batch-size 1
  --global-batch-size 256
  --seq-length 4096
  --train-iters 50
  --distributed-timeout-minutes 60
  --use-mcore-models
  --use-distributed-optimizer
  --overlap-grad-reduce
  --overlap-param-gather
  --split 100,0,0
  --no-mmap-bin-files
  --no-create-attention-mask-in-dataloader
  --eval-iters 0
  --eval-interval 1000
  --manual-gc
  --manual-gc-interval 10
  --log-interval 1
  --log-throughput
  --log-timers-to-tensorboard
  --log-memory-to-tensorboard
  --transformer-impl transformer_engine
  --num-virtual-stages-per-pipeline-rank 8
  --bf16
  --moe-token-dispatcher-type alltoall
  --moe-grouped-gemm
  --moe-permute-fusion
  --data-path /YOUR_STORAGE/data/mixtral/slimpajama_text_document
  --tokenizer-type HuggingFaceTokenizer
  --tokenizer-model /YOUR_STORAGE/models/Mixtral-8x7B-v0.1
  --vocab-size 32000
  --load /YOUR_STORAGE/checkpoints/Mixtral-8x7B
  --finetune
  --no-load-optim
  --no-load-rng
  --auto-detect-ckpt-format
  --exit-on-missing-checkpoint
  --lr 1.0e-5
  --min-lr 1e-06
  --tensorboard-dir "$RUN_DIR"/tensorboard
)

# ---- What each rank's task does ---------------------------------------------------------------------------------
IFS= read -r -d '' rank_shell <<'RANK' || true
ranks=64 ranks_per_node=8
gpus=8
python=python megatron=/opt/megatron-lm mark=/moe-harness-run
mounts=(/YOUR_STORAGE)
export HOME=/tmp XDG_CACHE_HOME=/tmp/.cache
#: rank.sh
RANK

# What the first rank of each node says of it in the log.
IFS= read -r -d '' node_report <<'PYTHON' || true
#: node_report.py
PYTHON

image=/YOUR_IMAGES/megatron.sqsh
: "${image:?is empty: srun would run on the bare host}"
[ -r "$image" ] || refuse "cannot read the container image $image"

# srun would read the rest of this script as its input: give it none.
srun \
  -l --kill-on-bad-exit=1 --wait=0 --export=ALL \
  --container-image="$image" \
  --container-mounts=/YOUR_STORAGE:/YOUR_STORAGE,"$RUN_DIR":"$RUN_DIR","$RUN_DIR":/moe-harness-run \
  --container-workdir="$RUN_DIR" \
  --no-container-mount-home \
  --container-writable \
  --container-env=CUDA_DEVICE_MAX_CONNECTIONS,HF_TOKEN,MASTER_ADDR,MASTER_PORT,NCCL_DEBUG,NCCL_NVLS_ENABLE,NVTE_ALLOW_NONDETERMINISTIC_ALGO,NVTE_BWD_LAYERNORM_SM_MARGIN,NVTE_FWD_LAYERNORM_SM_MARGIN,PYTORCH_CUDA_ALLOC_CONF,RUN_DIR,TORCH_NCCL_AVOID_RECORD_STREAMS,WANDB_API_KEY,WANDB_MODE \
  bash -c "$rank_shell" rank "$attempt" "$me" "$node_report" "${program[@]}" </dev/null &
step=$!

#: wait.sh

#: end.sh

exit "$code"
