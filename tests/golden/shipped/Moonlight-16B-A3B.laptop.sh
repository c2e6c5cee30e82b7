#!/bin/bash

set -euo pipefail

# The run's own folder, made before the job starts: a job whose log has no folder dies without a word.
: "${RUN_DIR:?is not set: use moe-harness launch, or export RUN_DIR=its folder before sbatch}"
mkdir -p -- "$RUN_DIR/ranks"

# A fair share of the cores for every rank, unless the caller or the job says otherwise.
cores=$(env -u OMP_NUM_THREADS nproc)
share=$((cores > 2 ? cores / 2 : 1))
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$share}

# The job's environment. Secrets are not here: they are inherited.
export TORCH_NCCL_AVOID_RECORD_STREAMS=1
export NVTE_ALLOW_NONDETERMINISTIC_ALGO=1
export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
export NCCL_NVLS_ENABLE=0
export CUDA_VISIBLE_DEVICES=''
export WANDB_MODE=disabled

# What every rank runs.
program=(
  /venv/bin/python -u -m harness.engine.pretrain
  --num-layers 4
  --hidden-size 128
  --ffn-hidden-size 256
  --num-attention-heads 4
  --kv-channels 32
  --max-position-embeddings 8192
  --position-embedding-type rope
  --rotary-base 50000
  --normalization RMSNorm
  --norm-epsilon 1e-5
  --swiglu
  --disable-bias-linear
  --untie-embeddings-and-output-weights
  --make-vocab-size-divisible-by 1
  --multi-latent-attention
  --qk-layernorm
  --kv-lora-rank 32
  --qk-head-dim 32
  --qk-pos-emb-head-dim 16
  --v-head-dim 32
  --rotary-scaling-factor 1.0
  --mscale 1.0
  --mscale-all-dim 1.0
  --num-experts 8
  --moe-router-topk 2
  --moe-ffn-hidden-size 64
  --moe-shared-expert-intermediate-size 128
  --moe-router-score-function sigmoid
  --moe-router-enable-expert-bias
  --moe-router-bias-update-rate 1e-3
  --moe-router-topk-scaling-factor 2.446
  --moe-router-dtype fp32
  --moe-router-load-balancing-type seq_aux_loss
  --moe-aux-loss-coeff 1e-3
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
  --pipeline-model-parallel-size 1
  --expert-model-parallel-size 2
  --context-parallel-size 1
  --expert-tensor-parallel-size 1
  --micro-batch-size 4
  --global-batch-size 16
  --seq-length 128
  --train-iters 40
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
  --transformer-impl local
  --no-rope-fusion
  --no-masked-softmax-fusion
  --no-gradient-accumulation-fusion
  --no-persist-layer-norm
  --distributed-backend gloo
  --no-bias-swiglu-fusion
  --no-bias-dropout-fusion
  --moe-token-dispatcher-type alltoall
  --moe-grouped-gemm
  --moe-layer-freq '([0]*1+[1]*3)'
  --rope-type yarn
  --data-path /home/user/runs/data/sample-2/alice_text_document
  --tokenizer-type NullTokenizer
  --null-tokenizer-eod-id 256
  --vocab-size 257
  --lr 2.0e-3
  --min-lr 0.0002
)

exec /venv/bin/python -m torch.distributed.run --standalone --nproc-per-node=2 --redirects=3 --no-python --log-dir="$RUN_DIR"/ranks "${program[@]}"
