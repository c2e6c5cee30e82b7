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
export OMP_NUM_THREADS=2

# What every rank runs.
program=(
  /venv/bin/python -u -m harness.engine.pretrain
  --num-layers 27
  --swiglu
  --data-path 0.3 /data/a 0.7 /data/b
  --save "$RUN_DIR"/checkpoints
)

exec /venv/bin/python -m torch.distributed.run --standalone --nproc-per-node=2 --redirects=3 --no-python --log-dir="$RUN_DIR"/ranks "${program[@]}"
