#!/bin/bash
#SBATCH --job-name=bench
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --time=00:20:00
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --no-requeue
#SBATCH --open-mode=append

set -euo pipefail

# The run's own folder, made before the job starts: a job whose log has no folder dies without a word.
: "${RUN_DIR:?is not set: use moe-harness launch, or export RUN_DIR=its folder before sbatch}"
nodes=2 ranks=4
ended_states='BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|LAUNCH_FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|RECONFIG_FAIL|REVOKED|TIMEOUT'

#: owner.sh

#: attempt.sh

#: rendezvous.sh

last_step=
#: checkpoints.sh

# What every rank runs.
program=(
  /venv/bin/python -u -m harness.engine.pretrain
  --num-layers 27
  --swiglu
  --data-path 0.3 /data/a 0.7 /data/b
)

# ---- What each rank's task does ---------------------------------------------------------------------------------
IFS= read -r -d '' rank_shell <<'RANK' || true
ranks=4 ranks_per_node=2
gpus=0
python=/venv/bin/python megatron='' mark=
mounts=()
#: rank.sh
RANK

# What the first rank of each node says of it in the log.
IFS= read -r -d '' node_report <<'PYTHON' || true
#: node_report.py
PYTHON

# srun would read the rest of this script as its input: give it none.
srun \
  -l --kill-on-bad-exit=1 --wait=0 --export=ALL \
  bash -c "$rank_shell" rank "$attempt" "$me" "$node_report" "${program[@]}" </dev/null &
step=$!

#: wait.sh

#: end.sh

exit "$code"
