# takes: restart retries
((restart <= retries)) || refuse "this is start $((restart + 1)) of the job, and RETRIES allows $((retries + 1))"
if ((restart == retries)); then # the last one: whatever becomes of its nodes, Slurm is not to start the job again
  scontrol update JobId="$SLURM_JOB_ID" Requeue=0 || echo "moe-harness: cannot tell Slurm not to requeue" >&2
fi
