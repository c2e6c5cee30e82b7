#!/usr/bin/env bash
# Submit to Slurm: MODEL=DeepSeek-V3 CLUSTER=mine bash sbatch_benchmarking.sh [Megatron flags]
set -euo pipefail
home=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
"$home/tools/setup.sh"
exec "$home/.venv/bin/python" -P -m harness launch --on slurm -- "$@"
