# ---- One attempt at a time ---------------------------------------------------------------------------------------
# takes: ended_states nodes ranks
# Slurm may start a lost node's job anew while its old tasks live on. $RUN_DIR/owner names the attempt that holds the
# run; whoever finds another's name there stops, and touches nothing. $attempt/facts tells what became of each.

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

note() { # KEY=VALUE…
  printf '%s\n' "$@" >>"$attempt/facts" || echo "moe-harness: cannot write $attempt/facts: $*" >&2
}

end_attempt() { # whichever way it comes
  local code=$?
  [ "$(holder)" = "$me" ] || exit 125
  note "exit=$code" "ended=$(date +%s)"
  rm -f -- "$RUN_DIR/owner"
}

await_ranks() { # of the attempt before: where Slurm lost a node they live on until their fence has looked
  local ends=$((SECONDS + ${MOE_HARNESS_FENCE_S:-30} + 5))
  while (($(cat "$1"/ranks/*.exit 2>/dev/null | wc -l) < ranks && SECONDS < ends)); do sleep 0.5; done
}

hold_run
if [ -e "$RUN_DIR/finished" ]; then
  rm -f -- "$RUN_DIR/owner"
  echo "moe-harness: this run is finished: nothing to do"
  exit 0
fi
number=0
while [ -e "$RUN_DIR/attempts/$number" ]; do number=$((number + 1)); done
((number == 0)) || await_ranks "$RUN_DIR/attempts/$((number - 1))"
attempt=$RUN_DIR/attempts/$number
mkdir -p -- "$attempt/ranks" || refuse "cannot make $attempt/ranks"
# Until there are ranks, a signal ends this at once. By itself it would leave 0 to the trap of the end.
trap 'note "signal=TERM $(date +%s)"; exit 143' TERM
trap 'note "signal=USR1 $(date +%s)"; exit 124' USR1
trap end_attempt EXIT
read -r -a hosts <<<"$(scontrol show hostnames "$SLURM_JOB_NODELIST" | tr '\n' ' ')"
log_start=$(stat -c %s "$RUN_DIR/log" 2>/dev/null || echo 0)
note "job=$SLURM_JOB_ID" "restart=$restart" "cluster=$here" "work_dir=$work_dir" "nodes=${hosts[*]}"
note "started=$(date +%s)" "log_start=$log_start"
echo "moe-harness: attempt $number" # what the log states from here on is this attempt's
((${SLURM_JOB_NUM_NODES:-0} >= nodes)) || refuse "the job has ${SLURM_JOB_NUM_NODES:-no} nodes, $nodes were asked for"

address_of() { # NODE: its name, or where that is in no DNS the address by which Slurm reaches it
  local address=
  getent ahosts "$1" >/dev/null ||
    address=$(scontrol --oneliner show node "$1" | sed -nE 's/.* NodeAddr=([^ ]+).*/\1/p')
  echo "${address:-$1}"
}

MASTER_ADDR=$(address_of "${hosts[0]}")
export MASTER_ADDR
# Another port for each start: ranks left over from a lost one may still listen on theirs.
export MASTER_PORT=$((10000 + (SLURM_JOB_ID + 1009 * restart) % 20000))
