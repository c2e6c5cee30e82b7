#!/bin/bash
#SBATCH --job-name=bench
#SBATCH --account=proj_llm
#SBATCH --partition=batch
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --time=00:20:00
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --no-requeue
#SBATCH --open-mode=append
#SBATCH --qos=high
#SBATCH --exclude node[1-2]

set -euo pipefail

# The run's own folder, made before the job starts: a job whose log has no folder dies without a word.
: "${RUN_DIR:?is not set: use moe-harness launch, or export RUN_DIR=a new folder before sbatch}"
mkdir -p -- "$RUN_DIR/ranks"
cd -- "$RUN_DIR"

hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
export MASTER_ADDR=${hosts%%$'\n'*}
export MASTER_PORT=$((10000 + SLURM_JOB_ID % 20000))

# The job's environment. Secrets are not here: they are inherited.
export CUDA_DEVICE_MAX_CONNECTIONS=1
export WANDB_DIR="$RUN_DIR"

# What every rank runs.
program=(
  python -u /opt/megatron-lm/pretrain_gpt.py
  --num-layers 27
  --swiglu
  --data-path 0.3 /data/a 0.7 /data/b
  --save "$RUN_DIR"/checkpoints
)

# Each rank's own shell. It outlives a TERM, so that every rank leaves its own exit code.
rank_shell='
trap : TERM
export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS
code=0
if [ /moe-harness-run -ef "$RUN_DIR" ]; then
  export HOME=/tmp
  export XDG_CACHE_HOME=/tmp/.cache
  "$@" || code=$?
else
  code=125
  echo "rank $RANK is not in the container: does this cluster have pyxis?" >&2
fi
echo "$code" >"$RUN_DIR/ranks/$RANK.exit"
exit "$code"
'

image=/images/nemo.sqsh
: "${image:?is empty: srun would run on the bare host}"
[ -r "$image" ] || { echo "cannot read the container image $image on $(hostname)" >&2; exit 1; }

# srun would read the rest of this script as its input: give it none.
srun \
  --mpi=pmix -l --kill-on-bad-exit=1 --export=ALL \
  --container-image="$image" \
  --container-mounts=/lustre:/lustre,/data:/data:ro,"$RUN_DIR":"$RUN_DIR","$RUN_DIR":/moe-harness-run \
  --container-workdir="$RUN_DIR" \
  --no-container-mount-home \
  --container-writable \
  --container-env=CUDA_DEVICE_MAX_CONNECTIONS,HF_TOKEN,MASTER_ADDR,MASTER_PORT,RUN_DIR,WANDB_API_KEY,WANDB_DIR \
  bash -c "$rank_shell" rank "${program[@]}" </dev/null

# srun ends with 0 though tasks were never launched: every rank must have ended well.
for ((rank = 0; rank < 32; rank++)); do
  grep -qx 0 "$RUN_DIR/ranks/$rank.exit" || { echo "rank $rank did not end well" >&2; exit 1; }
done
