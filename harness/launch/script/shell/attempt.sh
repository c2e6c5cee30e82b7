# ---- This attempt -------------------------------------------------------------------------------------------------
# takes: here me nodes ranks restart work_dir
# $attempt/facts tells what becomes of it.

note() { # KEY=VALUE…
  printf '%s\n' "$@" >>"$attempt/facts" || echo "moe-harness: cannot write $attempt/facts: $*" >&2
}

end_attempt() { # whichever way it comes
  local code=$?
  [ "$(holder)" = "$me" ] || exit 125
  note "exit=$code" "ended=$(date +%s)"
  rm -f -- "$RUN_DIR/owner"
}

end_at_signals() { # at once, until there are ranks. By itself a signal would leave 0 to the trap of the end.
  trap 'note "signal=TERM $(date +%s)"; exit 143' TERM
  trap 'note "signal=USR1 $(date +%s)"; exit 124' USR1
}

await_ranks() { # of the attempt before: where Slurm lost a node they live on until their fence has looked
  local ends=$((SECONDS + ${MOE_HARNESS_FENCE_S:-30} + 5))
  while (($(cat "$1"/ranks/*.exit 2>/dev/null | wc -l) < ranks && SECONDS < ends)); do sleep 0.5; done
}

if [ -e "$RUN_DIR/finished" ]; then
  rm -f -- "$RUN_DIR/owner"
  echo "moe-harness: this run is finished: nothing to do"
  exit 0
fi
number=0
while [ -e "$RUN_DIR/attempts/$number" ]; do number=$((number + 1)); done
before=$RUN_DIR/attempts/$((number - 1))
if ((number > 0)) && ! grep -q '^moved=' "$before/facts" 2>/dev/null; then await_ranks "$before"; fi
attempt=$RUN_DIR/attempts/$number
mkdir -p -- "$attempt/ranks" || refuse "cannot make $attempt/ranks"
end_at_signals
trap end_attempt EXIT
read -r -a hosts <<<"$(scontrol show hostnames "$SLURM_JOB_NODELIST" | tr '\n' ' ')"
log_start=$(stat -c %s "$RUN_DIR/log" 2>/dev/null || echo 0)
note "job=$SLURM_JOB_ID" "restart=$restart" "cluster=$here" "work_dir=$work_dir" "nodes=${hosts[*]}"
note "started=$(date +%s)" "log_start=$log_start"
echo "moe-harness: attempt $number" # what the log states from here on is this attempt's
((${SLURM_JOB_NUM_NODES:-0} >= nodes)) || refuse "the job has ${SLURM_JOB_NUM_NODES:-no} nodes, $nodes were asked for"
