# ---- While the ranks run ------------------------------------------------------------------------------------------
# takes: step
# USR1 comes ahead of the time limit, TERM from scancel or preemption. Megatron saves and ends when it is asked to.
stopped=
ask_to_end() { # SIGNAL
  woken=1
  stopped=$1
  note "signal=$1 $(date +%s)"
  scancel --signal=URG "$SLURM_JOB_ID" 2>/dev/null || kill -TERM "$step" || true
}
trap 'ask_to_end USR1' USR1
trap 'ask_to_end TERM' TERM

code=127
while # a signal ends wait, but not srun
  woken=
  result=0
  wait "$step" || result=$?
  ((result == 127)) || code=$result
  [ -n "$woken" ]
do :; done
trap '' USR1 TERM # from here on this shell and what it starts live through a requeue
