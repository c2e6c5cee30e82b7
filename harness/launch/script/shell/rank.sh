# takes: gpus mark megatron mounts python ranks ranks_per_node
export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS
attempt=$1 owner=$2 node_report=$3
shift 3
host=${SLURMD_NODENAME:-$(hostname)}
problems=()

problem() {
  problems+=("moe-harness: rank $RANK on $host: $1")
}

leave() { # CODE
  echo "$1 $(date +%s.%N)" >"$attempt/ranks/$RANK.exit"
  exit "$1"
}

count_gpus() { # that are there, and that a program may see
  local there visible
  if command -v nvidia-smi >/dev/null; then
    there=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ')
  else
    there=$(printf '%s\n' /dev/nvidia[0-9]* | grep -c '[0-9]$')
  fi
  if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
    visible=${CUDA_VISIBLE_DEVICES//[^,]/}
    visible=$((${#visible} + (${#CUDA_VISIBLE_DEVICES} > 0)))
    ((visible >= there)) || there=$visible
  fi
  echo "$there"
}

share_cores() { # fairly, unless Slurm has bound this rank to its own, or the caller or the job says otherwise
  local cores
  cores=$(env -u OMP_NUM_THREADS nproc)
  ((cores < $(nproc --all))) || cores=$((cores > ranks_per_node ? cores / ranks_per_node : 1))
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$cores}
}

# It outlives a TERM, which Slurm sends to all processes, so that every rank leaves its own exit code. URG is the batch
# shell's way to end the program alone, without the processes that load its data.
asked=
woken=
program=
end_program() {
  asked=1 woken=1
  [ -z "$program" ] || kill -TERM "$program" 2>/dev/null # it may have ended meanwhile
}
trap end_program TERM URG

for _ in 1 2 3; do [ -d "$attempt" ] || sleep 1; done # shared storage may take a moment to show what is new
if [ ! -d "$attempt/ranks" ]; then
  problem "$attempt is not there: is the storage of OUTPUT_PATH mounted on this node?"
elif [ ! -w "$attempt/ranks" ]; then
  problem "cannot write to $attempt/ranks"
fi
((SLURM_NTASKS >= ranks)) || problem "$SLURM_NTASKS ranks were started, $ranks were asked for"
[ -z "$mark" ] || [ "$mark" -ef "$RUN_DIR" ] || problem "is not in the container: does this cluster have pyxis?"
for path in "${mounts[@]}"; do
  [ -e "$path" ] || problem "the mount $path is missing"
done
[ -z "$megatron" ] || [ -f "$megatron/pretrain_gpt.py" ] ||
  problem "no pretrain_gpt.py in MEGATRON_PATH=$megatron, as a rank sees it"
command -v "$python" >/dev/null || problem "no $python on PATH=$PATH"
command -v "$1" >/dev/null || [ "$1" = "$python" ] || problem "no $1 on PATH=$PATH"
if ((LOCAL_RANK == 0 && gpus > 0)); then
  found=$(count_gpus)
  ((found >= gpus)) || problem "$found GPUs, GPUS_PER_NODE=$gpus were asked for"
fi

if ((${#problems[@]})); then
  printf '%s\n' "${problems[@]}" >&2
  sleep 2 # srun ends all ranks with the first one: let the others say theirs
  leave 125
fi
if ((gpus == 0)); then share_cores; fi
if ((LOCAL_RANK == 0)); then MOE_HARNESS_MEGATRON=$megatron "$python" -c "$node_report"; fi
[ -z "$asked" ] || leave 143

# A requeue may leave this rank behind on a node that Slurm had lost: who no longer holds the run must not train.
fence() { # until the other end of its input closes, which this shell has
  trap '' TERM URG PIPE
  local holder status
  while
    status=0
    read -r -t "${MOE_HARNESS_FENCE_S:-30}" || status=$?
    ((status > 128))
  do
    holder=$(cat "$RUN_DIR/owner" 2>/dev/null)
    # A later attempt may also have come and gone between two looks.
    if [ "${holder:-$owner}" != "$owner" ] || [ -e "${attempt%/*}/$((${attempt##*/} + 1))" ]; then
      kill -KILL -- "-$program"
      echo "moe-harness: rank $RANK on $host: another attempt holds this run, so this one ends" >&2
      return
    fi
  done
}

set -m # a process group of its own, so that nothing of it is left over: srun would wait for that
"$@" &
program=$!
set +m
[ -z "$asked" ] || end_program
# No child of this shell: bash may wait for any child, and so for ever, where a signal comes as the program ends.
exec {lifeline}> >(fence <&0 &)

code=127
while # a signal ends wait, but not the program, which may be saving
  woken=
  wait "$program"
  result=$?
  ((result == 127)) || code=$result
  if ((code < 0)); then code=143 woken=; fi # bash has lost how it ended, for a TERM came with the end
  [ -n "$woken" ]
do :; done
# A program that ended well because it was asked to may have more to train.
if [ -n "$asked" ] && ((code == 0)); then : >"$attempt/stopped"; fi
kill -KILL -- "-$program" 2>/dev/null
leave "$code"
