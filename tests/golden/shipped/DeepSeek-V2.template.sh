#!/bin/bash
#SBATCH --job-name=DeepSeek-V2-benchmarking
#SBATCH --account=YOUR_ACCOUNT
#SBATCH --partition=YOUR_PARTITION
#SBATCH --nodes=32
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
nodes=32 ranks=256
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
  --num-layers 60
  --hidden-size 5120
  --ffn-hidden-size 12288
  --num-attention-heads 128
  --kv-channels 128
  --max-position-embeddings 4096
  --position-embedding-type rope
  --rotary-base 10000
  --normalization RMSNorm
  --norm-epsilon 1e-6
  --swiglu
  --disable-bias-linear
  --untie-embeddings-and-output-weights
  --make-vocab-size-divisible-by 3200
  --multi-latent-attention
  --qk-layernorm
  --q-lora-rank 1536
  --kv-lora-rank 512
  --qk-head-dim 128
  --qk-pos-emb-head-dim 64
  --v-head-dim 128
  --rotary-scaling-factor 40
  --mscale 0.707
  --mscale-all-dim 0.707
  --num-experts 160
  --moe-router-topk 6
  --moe-ffn-hidden-size 1536
  --moe-shared-expert-intermediate-size 3072
  --moe-router-num-groups 8
  --moe-router-group-topk 3
  --moe-router-pre-softmax
  --moe-router-topk-scaling-factor 16.0
  --moe-router-dtype fp32
  --moe-router-load-balancing-type seq_aux_loss
  --moe-aux-loss-coeff 1e-3
  --attention-dropout 0.0
  --hidden-dropout 0.0
  --weight-decay 0.1
  --clip-grad 1.0
  --init-method-std 0.006
  --lr-decay-style cosine
  --lr-warmup-fraction 0.01
  --adam-beta1 0.9
  --adam-beta2 0.95
  --tensor-model-parallel-size 1
  --pipeline-model-parallel-size 16
  --expert-model-parallel-size 8
  --context-parallel-size 1
  --expert-tensor-parallel-size 1
  --micro-batch-size 1
  --global-batch-size 1024
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
  --num-virtual-stages-per-pipeline-rank 2
  --decoder-first-pipeline-num-layers 2
  --decoder-last-pipeline-num-layers 2
  --bf16
  --moe-token-dispatcher-type alltoall
  --moe-grouped-gemm
  --moe-permute-fusion
  --moe-layer-freq '([0]*1+[1]*59)'
  --rope-type yarn
  --no-rope-fusion
  --data-path /YOUR_STORAGE/data/deepseek-v2/slimpajama_text_document
  --tokenizer-type HuggingFaceTokenizer
  --tokenizer-model /YOUR_STORAGE/models/DeepSeek-V2
  --vocab-size 102400
  --load /YOUR_STORAGE/checkpoints/DeepSeek-V2
  --finetune
  --no-load-optim
  --no-load-rng
  --auto-detect-ckpt-format
  --exit-on-missing-checkpoint
  --lr 2.4e-5
  --min-lr 2.4e-06
  --tensorboard-dir "$RUN_DIR"/tensorboard
)

# ---- What each rank's task does ---------------------------------------------------------------------------------
IFS= read -r -d '' rank_shell <<'RANK' || true
ranks=256 ranks_per_node=8
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
