#!/bin/bash

set -euo pipefail

# The run's own folder, made before the job starts: a job whose log has no folder dies without a word.
: "${RUN_DIR:?is not set: use moe-harness launch, or export RUN_DIR=its folder before sbatch}"
mkdir -p -- "$RUN_DIR/ranks"

# The job's environment. Secrets are not here: they are inherited.
export NCCL_DEBUG=WARN

# What every rank runs.
program=(
  python -u /opt/megatron-lm/pretrain_gpt.py
  --num-layers 27
  --swiglu
  --data-path 0.3 /data/a 0.7 /data/b
)

exec enroot start \
  --rw \
  --mount=/lustre:/lustre:x-create=auto,rbind \
  --mount=/data:/data:x-create=auto,rbind,ro \
  --mount="$RUN_DIR":"$RUN_DIR":x-create=auto,rbind \
  ${HF_TOKEN+--env=HF_TOKEN} \
  ${WANDB_API_KEY+--env=WANDB_API_KEY} \
  /images/nemo.sqsh \
  env HOME=/tmp XDG_CACHE_HOME=/tmp/.cache NCCL_DEBUG="$NCCL_DEBUG" RUN_DIR="$RUN_DIR" \
  python -m torch.distributed.run --standalone --nproc-per-node=8 --redirects=3 --no-python --log-dir="$RUN_DIR"/ranks "${program[@]}"
