# ---- One attempt at a time ---------------------------------------------------------------------------------------
# takes: ended_states
# Slurm may start a lost node's job anew while its old tasks live on. $RUN_DIR/owner names the attempt that holds the
# run; whoever finds another's name there stops, and touches nothing.

restart=${SLURM_RESTART_COUNT:-0}
here=${SLURM_CLUSTER_NAME:-} # clusters that share storage may give two jobs one number
me="$SLURM_JOB_ID $restart $here"

refuse() { # WHY
  echo "moe-harness: ${SLURMD_NODENAME:-$(hostname)}: $1" >&2
  exit 125
}

work_dir=$(pwd -P) # as Slurm knows the job, by whatever hand it was submitted
cd -- "$RUN_DIR" || refuse "RUN_DIR=$RUN_DIR is not there: is the storage of OUTPUT_PATH mounted on this node?"

holder() {
  cat "$RUN_DIR/owner" 2>/dev/null || true
}

is_over() { # JOB CLUSTER: whether Slurm says so; to be out of reach, or of another user, says nothing
  local state of=()
  [ "$2" = "$here" ] || of=(--clusters="$2")
  if state=$(squeue ${of[@]+"${of[@]}"} --noheader --states=all --jobs="$1" --format=%T 2>&1); then
    [[ ${state##*$'\n'} =~ ^($ended_states)$ ]]
  else
    [[ $state == *"Invalid job id"* ]] && [ -O "$RUN_DIR/owner" ]
  fi
}

hold_run() {
  local own=$RUN_DIR/owner.$SLURM_JOB_ID before job count cluster
  rm -f -- "$own" # of a start that died here, it may be owner itself by another name
  echo "$me" >"$own" || refuse "cannot write $own: is the folder writable, and the disk not full?"
  # A link is there whole or not at all, on NFS too, where an answer that was lost makes ln complain of what it did.
  ln -- "$own" "$RUN_DIR/owner" 2>/dev/null || true
  if [ "$own" -ef "$RUN_DIR/owner" ]; then
    rm -f -- "$own"
    return
  fi
  before=$(holder)
  read -r job count cluster <<<"$before" || true
  cluster=${cluster:-$here}
  if [ "$job $cluster" = "$SLURM_JOB_ID $here" ]; then
    ((count < restart)) || refuse "attempt $count of this job runs already"
  elif [ -n "$job" ]; then
    is_over "$job" "$cluster" ||
      refuse "job $job of $cluster holds this run, and Slurm does not say here that it is over: nothing is touched"
  fi
  [ "$(holder)" = "$before" ] || refuse "another job took this run over"
  mv -f -- "$own" "$RUN_DIR/owner" || refuse "cannot write $RUN_DIR/owner"
  [ "$job" = "$SLURM_JOB_ID" ] || sleep 3 # of two jobs that come at once, the later one has it
  [ "$(holder)" = "$me" ] || refuse "another job took this run over"
}

hold_run
