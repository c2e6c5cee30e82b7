#!/usr/bin/env bash
# MODEL=DeepSeek-V2-Lite SOURCE_CKPT_PATH=DIR TARGET_CKPT_PATH=DIR bash ckpt_convert/DeepSeek-V2/convert_deepseek_v2.sh [--on slurm]
set -euo pipefail
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/../convert.sh" "DeepSeek-V2 DeepSeek-V2-Lite" "$@"
