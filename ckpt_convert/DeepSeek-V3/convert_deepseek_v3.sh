#!/usr/bin/env bash
# MODEL=DeepSeek-V3 SOURCE_CKPT_PATH=DIR TARGET_CKPT_PATH=DIR bash ckpt_convert/DeepSeek-V3/convert_deepseek_v3.sh [--on slurm]
set -euo pipefail
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/../convert.sh" "DeepSeek-V3" "$@"
