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
#SBATCH --requeue
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

retries=2 ranks_per_node=8
((restart <= retries)) || refuse "this is start $((restart + 1)) of the job, and RETRIES=$retries allows $((retries + 1))"
if ((restart == retries)); then # the last one: whatever becomes of its nodes, Slurm is not to start the job again
  scontrol update JobId="$SLURM_JOB_ID" Requeue=0 || echo "moe-harness: cannot tell Slurm not to requeue" >&2
fi

# What every rank runs.
program=(
  python -u /opt/m/pretrain_gpt.py
)

# ---- What each rank's task does ---------------------------------------------------------------------------------
IFS= read -r -d '' rank_shell <<'RANK' || true
ranks=8 gpus=8
python=python megatron=/opt/m mark=/moe-harness-run
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
  -l --kill-on-bad-exit=1 --export=ALL --mpi=pmix \
  enroot start \
  --rw \
  --mount=/lustre:/lustre:x-create=auto,rbind \
  --mount=/data:/data:x-create=auto,rbind,ro \
  --mount="$RUN_DIR":"$RUN_DIR":x-create=auto,rbind \
  ${HF_TOKEN+--env=HF_TOKEN} \
  ${WANDB_API_KEY+--env=WANDB_API_KEY} \
  --mount="$RUN_DIR":/moe-harness-run:x-create=auto,rbind \
  --env=SLURM_JOB_ID \
  --env=SLURM_LOCALID \
  --env=SLURM_NTASKS \
  --env=SLURM_PROCID \
  --env=SLURMD_NODENAME \
  ${CUDA_VISIBLE_DEVICES+--env=CUDA_VISIBLE_DEVICES} \
  ${MOE_HARNESS_FENCE_S+--env=MOE_HARNESS_FENCE_S} \
  "$image" \
  env MASTER_ADDR="$MASTER_ADDR" MASTER_PORT="$MASTER_PORT" RUN_DIR="$RUN_DIR" \
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

# What passes by itself, by name, and what never does; the latter wins.
transient=(
  node-failure 'DUE TO NODE FAILURE|error: Node failure on |received srun node fail'
  preemption 'DUE TO PREEMPTION'
  gpu-hardware 'uncorrectable (NVLink|ECC) error|Xid( \(PCI:[0-9a-fA-F:.]+\):?| error)?:? ?(48|63|64|74|79|9[245]|119|120|140|14[4-9]|150)([^0-9]|$)|GPU has fallen off the bus|GPU is lost|(CUDA error: |Cuda failure [^a-z]*)(unspecified launch failure|hardware stack error|system not yet initialized)|Possible (transient|persistent) error!'
  ib-error 'Got completion from peer .* with status=[0-9]+|Got async (error|fatal) event|Call to ibv_[a-z0-9_]+ failed|NET/IB ?: .*(local QP|port error|device fatal)|mlx[45]: [^ ]+: got completion with error|IBV_WC_[A-Z_]+_ERR'
  nccl-timeout 'Watchdog caught collective operation timeout|ran for [0-9]+ milliseconds before timing out|Timeout at NCCL work: |last enqueued (NCCL )?work: |watchdog got stuck for |NCCL operation timed out|Timed out waiting [0-9]+ms for (recv|send)|DeepEP[^:]* timeout|DeepEP error: (CPU|timeout)'
)
permanent='CUDA out of memory|OutOfMemoryError: CUDA|CUDA error: out of memory|Cuda failure ([0-9]+ )?'"'"'out of memory'"'"'|CU(BLAS|DNN|SPARSE)_STATUS_ALLOC_FAILED|ibv_(reg_mr|reg_dmabuf_mr|create_cq|create_qp)[a-z0-9_]* failed with error Cannot allocate memory|out of shared memory\. Please try to raise your shared memory limit|DataLoader worker \(pid[^)]*\) is killed by signal: Bus error|unable to (open|allocate|resize) shared memory|Error while creating shared memory segment|No space left on device[^/]*/dev/shm/|/dev/shm/[^ ]*.*No space left on device|oom[-_]kill event|error: [^ ]+: tasks? [-0-9,]+: Out Of Memory|Out of memory: Killed process|DataLoader worker \(pid[^)]*\) is killed by signal: Killed|DefaultCPUAllocator: (can'"'"'t allocate memory|not enough memory)|(^|[ .])_?(Array)?MemoryError(:|$)|std::bad_alloc|Cannot allocate memory|No space left on device|Disk quota exceeded|\[Errno (28|122)\]|PytorchStreamWriter failed writing|inline_container\.cc:[0-9]+\] \. unexpected pos|Unexpected result (tensor\()?[-+]?(nan|inf)|found (NaN|Inf) in local grad norm|Detected NaN or Inf in wgrad|iteration #[0-9]+: loss is (NaN|Inf)|NaN/Inf detected at |Device compute capability [0-9.]+ or higher required for|FP8 block scaled GEMM requires compute capability|FP8 execution requires |CublasLt version [0-9.x]+ or higher required for FP8|requires tensor dims that are divisible by|(MXFP8|NVFP4)[^:]* is not supported on |No dot product attention (backend|support) is available|transformer_engine/[^ ]*\.(cpp|cu|cuh|h|hpp):[0-9]+ in function [^:]*: (Assertion failed|cuBLAS Error|CUBLAS Error|cuDNN Error)|Unable to find suitable cuBLAS GEMM algorithm|error: unrecognized arguments: |error: argument -[^:]*: (expected|invalid|not allowed|ignored)|error: the following arguments are required: |error: ambiguous option: |arguments\.py", line [0-9]+, in (validate_args|core_transformer_config_from_args)|(transformer_config|model_parallel_config|optimizer_config|distributed_data_parallel_config)\.py", line [0-9]+, in (__post_init__|finalize)|parallel_state\.py", line [0-9]+, in initialize_model_parallel|size mismatch for |Error\(s\) in loading state_dict for |CheckpointingException: |(Missing|Unexpected) key\(s\) in state_dict|Missing key in checkpoint state_dict|Global shape mismatch for loaded|Size mismatch between saved |value from checkpoint \([^)]*\) is not equal to |not supported for DistributedOptimizer with sharding type|PytorchStreamReader failed |is not a distributed checkpoint|Unable to load optimizer from checkpoint|Unable to load rng state from checkpoint|does not appear to have a file named |Can'"'"'t load tokenizer for |Repo id must |couldn'"'"'t connect to .* to load (the|this) file|(LocalEntryNotFound|OfflineModeIsEnabled|RepositoryNotFound|GatedRepo|HFValidation)Error: |is not a local folder and is not a valid model identifier|outgoing traffic has been disabled|Couldn'"'"'t instantiate the backend tokenizer|You are trying to access a gated repo|error: pyxis: |spank: required plugin spank_pyxis\.so|(srun|sbatch): unrecognized option '"'"'--(no-)?container-|enroot-[a-z]+: failed to |is not in the container|cannot read the container image|srun would run on the bare host|moe-harness: rank [0-9]+ on [^ ]+: ([0-9]+ (ranks|GPUs)|the mount|no |cannot write|/)|moe-harness: [^ :]+: (RUN_DIR=|cannot (make|write) /|the job has [0-9no]+ nodes)|moe-harness: [^ :]+: this is start [0-9]+ of the job, and RETRIES=|ModuleNotFoundError: |(^|[ :])ImportError: |(ImportError|OSError): .*undefined symbol: |version .(GLIBC|GLIBCXX|CXXABI)_[0-9.]+'"'"' not found|python[0-9.]*: No module named |error while loading shared libraries: |PackageNotFoundError: |requires (transformer[-_]engine|Transformer Engine|transformer-engine|flash[-_]attn|apex|PyTorch) ?[<>=]|CUDA driver version is insufficient for CUDA runtime version|NVIDIA driver on your system is too old|no kernel image is available for execution on the device|provided PTX was compiled with an unsupported toolchain|forward compatibility was attempted on non supported HW|No CUDA GPUs are available|CUDA error: invalid device ordinal|no CUDA-capable device is detected|Found no NVIDIA driver on your system|Duplicate GPU detected|(^|[ :])(SyntaxError|IndentationError|TabError): |(^|[ :])PermissionError: |\[Errno (1|13|30)\] |: Permission denied|: Read-only file system|(^|[ :])FileNotFoundError: |can'"'"'t open file '"'"'[^'"'"']*'"'"': \[Errno 2\]|cannot be found at the path prefix|execve\(\): [^ ]*: No such file or directory|(^|[ /])(env|bash|rank): .*(No such file or directory|command not found)|could not find the metadata file|chdir\([^)]*\).*: No such file or directory|Resource temporarily unavailable|can'"'"'t start new thread|pthread_create failed|Thread creation failed|Too many open files|\[Errno (11|24)\]|EADDRINUSE|The server socket has failed to listen on any local network address|OSError: \[Errno 98\]|CUDA error: (an illegal memory access|device-side assert|misaligned address|an illegal instruction)|Cuda failure ([0-9]+ )?'"'"'(an illegal memory access|device-side assert)|Segmentation fault|Caught signal 11|[Ss]ignal 11 \(SIGSEGV\)|Signal SIGSEGV|killed by signal: Segmentation fault|!!!!!!! Segfault encountered !!!!!!!|^ *([0-9]+: *)?(\[rank[0-9]+\]: *)?(Assertion|Attribute|Index|Key|Lookup|Name|NotImplemented|Overflow|Recursion|Type|UnboundLocal|Unicode[A-Za-z]*|Value|ZeroDivision)Error(:|$)|RuntimeError: (shape |The size of tensor|mat1 and mat2|[Ee]xpected |Tensors must|Sizes of tensors|index |stack expects|Trying to backward)|DUE TO TIME LIMIT|\*\*\* JOB [0-9_+]+ ON [^ ]+ CANCELLED AT [^ ]+ \*\*\*'

# ---- Another attempt, where what happened may pass ----------------------------------------------------------------
said() { # PATTERN: the lines of this attempt that hold it
  tail -c "+$((log_start + 1))" "$RUN_DIR/log" | LC_ALL=C grep -aE -e "$1" || true
}

job_field() { # NAME
  scontrol --oneliner show job "$SLURM_JOB_ID" | sed -nE "s/.* $1=([^ ]+).*/\1/p"
}

nodes_of() { # lines as `RANK: text` → the nodes of these ranks
  local rank
  sed -nE 's/^ *0*([0-9]+): .*/\1/p' | sort -nu | while read -r rank; do
    echo "${hosts[rank / ranks_per_node]}"
  done | sort -u
}

bad_node() { # SIGNATURE LINES: the one node that the lines tell of; nothing if they tell of several
  local nodes
  nodes=$(nodes_of <<<"$2")
  # In a timeout the ranks that complain wait for the one that says nothing.
  [[ $1 != *timeout* ]] || nodes=$(printf '%s\n' "${hosts[@]}" | grep -vxF -e "${nodes:-none}" || true)
  [[ $nodes == *$'\n'* ]] || echo "$nodes"
}

spare_node() { # whether the job's partition has a node more than it needs, besides those it already avoids
  local avoided usable
  avoided=$(scontrol show hostnames "$1" 2>/dev/null | wc -l)
  usable=$(sinfo --noheader --Node --partition="$SLURM_JOB_PARTITION" --format=%N | sort -u | wc -l)
  ((usable - avoided > ${#hosts[@]}))
}

try_again() { # WHY [NODE]
  local avoided
  echo "moe-harness: $1 may pass: another attempt${2:+, without $2}"
  scontrol requeue "$SLURM_JOB_ID" || return 0
  note "retry=$1"
  [ -n "${2-}" ] || return 0
  # Slurm takes an exclusion only once the job waits again. What was excluded before stays so.
  avoided=$(job_field ExcNodeList)
  [ "$avoided" != "(null)" ] || avoided=
  if ! spare_node "$avoided"; then
    echo "moe-harness: the partition has no other node, so $2 is not excluded"
  elif scontrol update JobId="$SLURM_JOB_ID" ExcNodeList="${avoided:+$avoided,}$2"; then
    note "excluded=$2"
  fi
}

consider_another() {
  local i lines
  [ "$(job_field Restarts)" = "$restart" ] || return 0 # a node failed, and Slurm has requeued the job already
  if [[ $(job_field PreemptTime) == [0-9]* ]]; then
    try_again preemption # it left before Slurm took its nodes, so Slurm does not requeue it
  elif [ -z "$stopped" ] && [ -z "$(said "$permanent")" ]; then
    for ((i = 0; i < ${#transient[@]}; i += 2)); do
      lines=$(said "${transient[i + 1]}")
      [ -n "$lines" ] || continue
      try_again "${transient[i]}" "$(bad_node "${transient[i]}" "$lines")"
      return
    done
  fi
}

if ((code != 0 && restart < retries)); then consider_another; fi

exit "$code"
