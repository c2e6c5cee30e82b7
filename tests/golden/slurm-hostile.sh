#!/bin/bash
#SBATCH --job-name=bench
#SBATCH --account=proj_llm
#SBATCH --partition=batch
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --time=00:20:00
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --no-requeue
#SBATCH --open-mode=append

set -euo pipefail

# The run's own folder, made before the job starts: a job whose log has no folder dies without a word.
: "${RUN_DIR:?is not set: use moe-harness launch, or export RUN_DIR=its folder before sbatch}"
nodes=1 ranks=8

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
    [[ $state =~ ^(BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|TIMEOUT)$ ]]
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

# The job's environment. Secrets are not here: they are inherited.
export NOTE='a '"'"'b'"'"' $(c)
d'

# What every rank runs.
program=(
  python -u '/opt/my megatron'"'"'s $(x)/pretrain_gpt.py'
  --wandb-exp-name 'it'"'"'s "$(id)" `id` \ $HOME !'
  --title 'two lines
#SBATCH --uid=0'
  --empty ''
)

# ---- What each rank's task does ---------------------------------------------------------------------------------
IFS= read -r -d '' rank_shell <<'RANK' || true
ranks=8 gpus=8
python=python megatron='/opt/my megatron'"'"'s $(x)' mark=/moe-harness-run
mounts=(/lustre /data)
export HOME=/tmp XDG_CACHE_HOME=/tmp/.cache
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

count_gpus() {
  if command -v nvidia-smi >/dev/null; then
    nvidia-smi -L 2>/dev/null | grep -c '^GPU '
  else
    printf '%s\n' /dev/nvidia[0-9]* | grep -c '[0-9]$'
  fi
}

# It outlives a TERM, which Slurm sends to all processes, so that every rank leaves its own exit code. URG is the batch
# shell's way to end the program alone, without the processes that load its data.
asked=
program=
end_program() {
  asked=1
  [ -z "$program" ] || kill -TERM "$program"
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
while # a signal ends wait, but not the program
  before=$asked
  wait "$program"
  result=$?
  ((result == 127)) || code=$result
  [ "$asked" != "$before" ]
do :; done
# A program that ended well because it was asked to may have more to train.
if [ -n "$asked" ] && ((code == 0)); then : >"$attempt/stopped"; fi
kill -KILL -- "-$program" 2>/dev/null
leave "$code"
RANK

# What the first rank of each node says of it in the log.
IFS= read -r -d '' node_report <<'PYTHON' || true
"""What a node runs on, said once in the log: `moe-harness: node {"host": …, "gpus": …, "driver": …, "versions": …}`.

The job's script carries this file as text to the first rank of each node, whatever Python there is: it needs the
standard library of 3.8 alone, and imports neither torch nor Megatron, which take seconds.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from platform import python_version


def main() -> None:
    """Print the node's line by one write, so that no other rank's output lands inside it."""
    gpus, driver = graphics()
    node = {"host": os.environ.get("SLURMD_NODENAME") or socket.gethostname(), "gpus": gpus, "driver": driver}
    os.write(1, f"moe-harness: node {json.dumps({**node, 'versions': versions()})}\n".encode())


def graphics() -> tuple[list[str], str | None]:
    """The GPUs' names and their driver's version, as nvidia-smi tells them."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return [], None
    rows = [line.rsplit(", ", 1) for line in told.splitlines() if ", " in line]
    return [row[0] for row in rows], rows[0][1] if rows else None


def versions() -> dict[str, str | None]:
    """What is installed, by the names that records use; None for what is not."""
    return {
        "python": python_version(),
        "torch": installed("torch"),
        "transformer_engine": installed("transformer-engine"),
        "megatron_core": megatron(),
        "cuda": cuda(),
        "nccl": nccl(),
    }


def installed(*distributions: str) -> str | None:
    """The version of the first of these distributions that is there."""
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            pass
    return None


def megatron() -> str | None:
    """Megatron's version: of the checkout that trains, else of what is installed."""
    checkout = os.environ.get("MOE_HARNESS_MEGATRON")
    if not checkout:
        return installed("megatron-core")
    stated = text(checkout, "megatron/core/package_info.py")
    parts = [
        re.search(rf"^{name} *= *['\"]?(\w*)", stated, re.M) for name in ("MAJOR", "MINOR", "PATCH", "PRE_RELEASE")
    ]
    numbers = [part.group(1) for part in parts if part]
    return ".".join(numbers[:3]) + numbers[3] if len(numbers) == 4 else None


def cuda() -> str | None:
    """The CUDA that torch was built with."""
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return None
    found = re.search(r"^cuda\b.*= *'([^']+)'", text(str(Path(torch.origin).parent), "version.py"), re.M)
    return found.group(1) if found else None


def nccl() -> str | None:
    """NCCL's version: NVIDIA's images say it in their environment, wheels by their name."""
    told = os.environ.get("NCCL_VERSION", "").split("-")[0]
    return told or installed("nvidia-nccl-cu13", "nvidia-nccl-cu12", "nvidia-nccl-cu11")


def text(folder: str, name: str) -> str:
    """A file's content; nothing where it cannot be read."""
    try:
        return Path(folder, name).read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
PYTHON

image=/images/nemo.sqsh
: "${image:?is empty: srun would run on the bare host}"
[ -r "$image" ] || refuse "cannot read the container image $image"

# srun would read the rest of this script as its input: give it none.
srun \
  -l --kill-on-bad-exit=1 --export=ALL \
  --container-image="$image" \
  --container-mounts=/lustre:/lustre,/data:/data:ro,"$RUN_DIR":"$RUN_DIR","$RUN_DIR":/moe-harness-run \
  --container-workdir="$RUN_DIR" \
  --no-container-mount-home \
  --container-writable \
  --container-env=HF_TOKEN,MASTER_ADDR,MASTER_PORT,NOTE,RUN_DIR,WANDB_API_KEY \
  bash -c "$rank_shell" rank "$attempt" "$me" "$node_report" "${program[@]}" </dev/null &
step=$!

# ---- While the ranks run ------------------------------------------------------------------------------------------
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

# ---- How it ended -------------------------------------------------------------------------------------------------
[ "$(holder)" = "$me" ] || refuse "attempt $number no longer holds this run, and leaves it alone"

# srun ends with 0 though tasks were never launched, and else with the largest code: the ranks' own decide, and of
# those that failed the first one's.
exits() {
  cat "$attempt"/ranks/*.exit 2>/dev/null || true
}
well=$(exits | grep -c '^0 ' || true)
if ((well < ranks)); then
  echo "moe-harness: $((ranks - well)) of $ranks ranks did not end well" >&2
  first=$(exits | sort -g -k 2 | sed '/^0 /d;q')
  [ -z "$first" ] || code=${first%% *}
  ((code != 0)) || code=1
elif [ "$stopped" = USR1 ]; then
  code=124 # saved and ended as asked ahead of the time limit: the training is not over
elif [ -n "$stopped" ] || [ -e "$attempt/stopped" ]; then
  code=143
elif ((code == 0)); then
  touch -- "$RUN_DIR/finished"
fi

exit "$code"
