# ---- One task of an array ------------------------------------------------------------------------------------------
# A task is a run with a folder of its own, beside the one that the job was submitted in.
: "${SLURM_ARRAY_TASK_ID:?is not set: submit this script with sbatch --array}"
export RUN_DIR=$RUN_DIR-$SLURM_ARRAY_TASK_ID
task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID

# One of the tasks has the number of the whole array as its own, by which Slurm's programs would take all of them.
scontrol() { command scontrol "${@/%"$SLURM_JOB_ID"/$task}"; }
scancel() { command scancel "${@/%"$SLURM_JOB_ID"/$task}"; }
