# ---- One attempt at a time ---------------------------------------------------------------------------------------
# Slurm may start a lost node's job anew while its old tasks live on. $RUN_DIR/owner names the attempt that holds the
# run; whoever finds another's name there stops, and touches nothing. $attempt/facts tells what became of each.

restart=${SLURM_RESTART_COUNT:-0}
me="$SLURM_JOB_ID $restart"

refuse() { # WHY
  echo "moe-harness: ${SLURMD_NODENAME:-$(hostname)}: $1" >&2
  exit 125
}

work_dir=$PWD # as Slurm knows the job, by whatever hand it was submitted
cd -- "$RUN_DIR" || refuse "RUN_DIR=$RUN_DIR is not there: is the storage of OUTPUT_PATH mounted on this node?"

holder() {
  cat "$RUN_DIR/owner" 2>/dev/null || true
}

is_over() { # JOB: whether Slurm says so; to be out of reach says nothing
  local state
  if state=$(squeue --noheader --states=all --jobs="$1" --format=%T 2>&1); then
    [[ $state =~ ^($ended_states)$ ]]
  else
    [[ $state == *"Invalid job id"* ]]
  fi
}

hold_run() {
  local before job count
  (set -o noclobber && echo "$me" >"$RUN_DIR/owner") 2>/dev/null && return
  before=$(holder)
  [ -n "$before" ] || sleep 2 # its writer may be about to write
  before=$(holder)
  read -r job count <<<"$before" || true
  if [ "$job" = "$SLURM_JOB_ID" ]; then
    ((count < restart)) || refuse "attempt $count of this job runs already"
  elif [ -n "$job" ]; then
    is_over "$job" || refuse "job $job holds this run, and Slurm does not say that it is over: nothing is touched"
  fi
  [ "$(holder)" = "$before" ] || refuse "another job took this run over"
  if ! { echo "$me" >"$RUN_DIR/owner.$SLURM_JOB_ID" && mv -f -- "$RUN_DIR/owner.$SLURM_JOB_ID" "$RUN_DIR/owner"; }; then
    refuse "cannot write $RUN_DIR/owner: is it writable, and the disk not full?"
  fi
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
trap end_attempt EXIT
read -r -a hosts <<<"$(scontrol show hostnames "$SLURM_JOB_NODELIST" | tr '\n' ' ')"
log_start=$(stat -c %s "$RUN_DIR/log" 2>/dev/null || echo 0)
note "job=$SLURM_JOB_ID" "restart=$restart" "work_dir=$work_dir" "nodes=${hosts[*]}"
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
