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
: "${RUN_DIR:?is not set: use moe-harness launch, or export RUN_DIR=a new folder before sbatch}"
mkdir -p -- "$RUN_DIR/ranks"
cd -- "$RUN_DIR"

hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
export MASTER_ADDR=${hosts%%$'\n'*}
export MASTER_PORT=$((10000 + SLURM_JOB_ID % 20000))

# What every rank runs.
program=(
  /venv/bin/python -u -m harness.engine.pretrain
  --num-layers 27
  --swiglu
  --data-path 0.3 /data/a 0.7 /data/b
)

# Each rank's own shell. It outlives a TERM, so that every rank leaves its own exit code.
rank_shell='
trap : TERM
export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS
code=0
"$@" || code=$?
echo "$code" >"$RUN_DIR/ranks/$RANK.exit"
exit "$code"
'

# srun would read the rest of this script as its input: give it none.
srun \
  --mpi=pmix -l --kill-on-bad-exit=1 --export=ALL \
  bash -c "$rank_shell" rank "${program[@]}" </dev/null

# srun ends with 0 though tasks were never launched: every rank must have ended well.
for ((rank = 0; rank < 4; rank++)); do
  grep -qx 0 "$RUN_DIR/ranks/$rank.exit" || { echo "rank $rank did not end well" >&2; exit 1; }
done
