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
ended_states='BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|LAUNCH_FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|RECONFIG_FAIL|REVOKED|TIMEOUT'

#: owner.sh

#: attempt.sh

retries=2 ranks_per_node=8

#: requeue.sh

#: lost_node.sh

#: last_attempt.sh

#: rendezvous.sh

last_step=
#: checkpoints.sh

# What every rank runs.
program=(
  python -u /opt/m/pretrain_gpt.py
)

# ---- What each rank's task does ---------------------------------------------------------------------------------
IFS= read -r -d '' rank_shell <<'RANK' || true
ranks=8 ranks_per_node=8
gpus=8
python=python megatron=/opt/m mark=/moe-harness-run
mounts=(/lustre /data)
export HOME=/tmp XDG_CACHE_HOME=/tmp/.cache
#: rank.sh
RANK

# What the first rank of each node says of it in the log.
IFS= read -r -d '' node_report <<'PYTHON' || true
#: node_report.py
PYTHON

image=/images/nemo.sqsh
: "${image:?is empty: srun would run on the bare host}"
[ -r "$image" ] || refuse "cannot read the container image $image"

# srun would read the rest of this script as its input: give it none.
srun \
  -l --kill-on-bad-exit=1 --wait=0 --export=ALL --mpi=pmix \
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

#: wait.sh

#: end.sh

# What passes by itself, by name, and what never does; the latter wins.
transient=(
  node-failure 'DUE TO NODE FAILURE|error: Node failure on |received srun node fail'
  preemption 'DUE TO PREEMPTION'
  gpu-hardware 'uncorrectable (NVLink|ECC) error|Xid( \(PCI:[0-9a-fA-F:.]+\):?| error)?:? ?(48|63|64|74|79|9[245]|119|120|140|14[4-9]|150)([^0-9]|$)|GPU has fallen off the bus|GPU is lost|(CUDA error: |Cuda failure [^a-z]*)(unspecified launch failure|hardware stack error|system not yet initialized)|Possible (transient|persistent) error!'
  ib-error 'Got completion from peer .* with status=[0-9]+|Got async (error|fatal) event|Call to ibv_[a-z0-9_]+ failed|NET/IB ?: .*(local QP|port error|device fatal)|mlx[45]: [^ ]+: got completion with error|IBV_WC_[A-Z_]+_ERR'
  nccl-timeout 'Watchdog caught collective operation timeout|ran for [0-9]+ milliseconds before timing out|Timeout at NCCL work: |last enqueued (NCCL )?work: |watchdog got stuck for |NCCL operation timed out|Timed out waiting [0-9]+ms for (recv|send)|DeepEP[^:]* timeout|DeepEP error: (CPU|timeout)'
)
permanent='CUDA out of memory|OutOfMemoryError: CUDA|CUDA error: out of memory|Cuda failure ([0-9]+ )?'"'"'out of memory'"'"'|CU(BLAS|DNN|SPARSE)_STATUS_ALLOC_FAILED|ibv_(reg_mr|reg_dmabuf_mr|create_cq|create_qp)[a-z0-9_]* failed with error Cannot allocate memory|out of shared memory\. Please try to raise your shared memory limit|DataLoader worker \(pid[^)]*\) is killed by signal: Bus error|unable to (open|allocate|resize) shared memory|Error while creating shared memory segment|No space left on device[^/]*/dev/shm/|/dev/shm/[^ ]*.*No space left on device|oom[-_]kill event|error: [^ ]+: tasks? [-0-9,]+: Out Of Memory|Out of memory: Killed process|DataLoader worker \(pid[^)]*\) is killed by signal: Killed|DefaultCPUAllocator: (can'"'"'t allocate memory|not enough memory)|(^|[ .])_?(Array)?MemoryError(:|$)|std::bad_alloc|Cannot allocate memory|No space left on device|Disk quota exceeded|\[Errno (28|122)\]|PytorchStreamWriter failed writing|inline_container\.cc:[0-9]+\] \. unexpected pos|Unexpected result (tensor\()?[-+]?(nan|inf)|found (NaN|Inf) in local grad norm|Detected NaN or Inf in wgrad|iteration #[0-9]+: loss is (NaN|Inf)|NaN/Inf detected at |Device compute capability [0-9.]+ or higher required for|FP8 block scaled GEMM requires compute capability|FP8 execution requires |CublasLt version [0-9.x]+ or higher required for FP8|requires tensor dims that are divisible by|(MXFP8|NVFP4)[^:]* is not supported on |No dot product attention (backend|support) is available|transformer_engine/[^ ]*\.(cpp|cu|cuh|h|hpp):[0-9]+ in function [^:]*: (Assertion failed|cuBLAS Error|CUBLAS Error|cuDNN Error)|Unable to find suitable cuBLAS GEMM algorithm|error: unrecognized arguments: |error: argument -[^:]*: (expected|invalid|not allowed|ignored)|error: the following arguments are required: |error: ambiguous option: |error: pyxis: |spank: required plugin spank_pyxis\.so|(srun|sbatch): unrecognized option '"'"'--(no-)?container-|enroot-[a-z]+: failed to |execve\(\): enroot: |is not in the container|cannot read the container image|srun would run on the bare host|srun: unrecognized option |srun: fatal: |srun: error: (Invalid MPI type|MPI: Unable to load any plugin|Couldn'"'"'t load specified plugin name)|srun: error: Unable to create step for job [0-9]+: (More processors requested|Requested node configuration|Invalid )|moe-harness: rank [0-9]+ on [^ ]+: ([0-9]+ (ranks|GPUs)|the mount|no |cannot write|/)|moe-harness: [^ :]+: (RUN_DIR=|cannot (make|write) /|the job has [0-9no]+ nodes)|moe-harness: [^ :]+: this is start [0-9]+ of the job, and RETRIES allows|CUDA driver version is insufficient for CUDA runtime version|NVIDIA driver on your system is too old|no kernel image is available for execution on the device|provided PTX was compiled with an unsupported toolchain|forward compatibility was attempted on non supported HW|No CUDA GPUs are available|CUDA error: invalid device ordinal|no CUDA-capable device is detected|Found no NVIDIA driver on your system|Duplicate GPU detected|EADDRINUSE|The server socket has failed to listen on any local network address|OSError: \[Errno 98\]|CUDA error: (an illegal memory access|device-side assert|misaligned address|an illegal instruction)|Cuda failure ([0-9]+ )?'"'"'(an illegal memory access|device-side assert)|Segmentation fault|Caught signal 11|[Ss]ignal 11 \(SIGSEGV\)|Signal SIGSEGV|killed by signal: Segmentation fault|!!!!!!! Segfault encountered !!!!!!!|DUE TO TIME LIMIT|\*\*\* JOB [0-9_+]+ ON [^ ]+ CANCELLED AT [^ ]+ \*\*\*'
# What never does either, but is also printed by a rank that goes on.
weak='arguments\.py", line [0-9]+, in (validate_args|core_transformer_config_from_args)|(transformer_config|model_parallel_config|optimizer_config|distributed_data_parallel_config)\.py", line [0-9]+, in (__post_init__|finalize)|parallel_state\.py", line [0-9]+, in initialize_model_parallel|size mismatch for |Error\(s\) in loading state_dict for |CheckpointingException: |(Missing|Unexpected) key\(s\) in state_dict|Missing key in checkpoint state_dict|Global shape mismatch for loaded|Size mismatch between saved |value from checkpoint \([^)]*\) is not equal to |not supported for DistributedOptimizer with sharding type|PytorchStreamReader failed |is not a distributed checkpoint|Unable to load optimizer from checkpoint|Unable to load rng state from checkpoint|does not appear to have a file named |Can'"'"'t load tokenizer for |Repo id must |couldn'"'"'t connect to .* to load (the|this) file|(LocalEntryNotFound|OfflineModeIsEnabled|RepositoryNotFound|GatedRepo|HFValidation)Error: |is not a local folder and is not a valid model identifier|outgoing traffic has been disabled|Couldn'"'"'t instantiate the backend tokenizer|You are trying to access a gated repo|ModuleNotFoundError: |(^|[ :])ImportError: |(ImportError|OSError): .*undefined symbol: |version .(GLIBC|GLIBCXX|CXXABI)_[0-9.]+'"'"' not found|python[0-9.]*: No module named |error while loading shared libraries: |PackageNotFoundError: |requires (transformer[-_]engine|Transformer Engine|transformer-engine|flash[-_]attn|apex|PyTorch) ?[<>=]|(^|[ :])(SyntaxError|IndentationError|TabError): |(^|[ :])PermissionError: |\[Errno (1|13|30)\] |: Permission denied|: Read-only file system|(^|[ :])FileNotFoundError: |can'"'"'t open file '"'"'[^'"'"']*'"'"': \[Errno 2\]|cannot be found at the path prefix|execve\(\): [^ ]*: No such file or directory|(^|[ /])(env|bash|rank): (line [0-9]+: )?[^ ]+: (No such file or directory|command not found)|could not find the metadata file|chdir\([^)]*\).*: No such file or directory|Resource temporarily unavailable|can'"'"'t start new thread|pthread_create failed|Thread creation failed|Too many open files|\[Errno (11|24)\]|^ *([0-9]+: *)?(\[rank[0-9]+\]: *)?(Assertion|Attribute|Index|Key|Lookup|Name|NotImplemented|Overflow|Recursion|Type|UnboundLocal|Unicode[A-Za-z]*|Value|ZeroDivision)Error(:|$)|RuntimeError: (shape |The size of tensor|mat1 and mat2|[Ee]xpected |Tensors must|Sizes of tensors|index |stack expects|Trying to backward)'

#: retry.sh

exit "$code"
