#!/bin/bash
#SBATCH --job-name=bench
#SBATCH --account=proj_llm
#SBATCH --partition=batch
#SBATCH --nodes=1
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
nodes=1 ranks=8
ended_states='BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|LAUNCH_FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|RECONFIG_FAIL|REVOKED|TIMEOUT'

#: owner.sh

#: attempt.sh

#: rendezvous.sh

last_step=
#: checkpoints.sh

# The job's environment. Secrets are not here: they are inherited.
export PYTHONPATH=/opt/moe-harness

# What every rank runs.
program=(
  python -u -m harness.engine.pretrain
  --num-layers 27
  --swiglu
  --data-path 0.3 /data/a 0.7 /data/b
)

# ---- What each rank's task does ---------------------------------------------------------------------------------
IFS= read -r -d '' rank_shell <<'RANK' || true
ranks=8 ranks_per_node=8
gpus=8
python=python megatron='' mark=/moe-harness-run
mounts=(/lustre /data /opt/moe-harness/harness)
export HOME=/tmp XDG_CACHE_HOME=/tmp/.cache
#: rank.sh
RANK

# What the first rank of each node says of it in the log.
IFS= read -r -d '' node_report <<'PYTHON' || true
#: node_report.py
PYTHON

image='nvcr.io#nvidia/pytorch:25.04-py3'
: "${image:?is empty: srun would run on the bare host}"

# srun would read the rest of this script as its input: give it none.
srun \
  -l --kill-on-bad-exit=1 --wait=0 --export=ALL \
  --container-image="$image" \
  --container-mounts=/lustre:/lustre,/data:/data:ro,/src/harness:/opt/moe-harness/harness:ro,"$RUN_DIR":"$RUN_DIR","$RUN_DIR":/moe-harness-run \
  --container-workdir="$RUN_DIR" \
  --no-container-mount-home \
  --container-writable \
  --container-env=HF_TOKEN,MASTER_ADDR,MASTER_PORT,PYTHONPATH,RUN_DIR,WANDB_API_KEY \
  bash -c "$rank_shell" rank "$attempt" "$me" "$node_report" "${program[@]}" </dev/null &
step=$!

#: wait.sh

#: end.sh

exit "$code"
