#!/usr/bin/env bash
# Evaluate a checkpoint: CHECKPOINT_DIR=DIR bash evaluate.sh [options of moe-harness eval]
set -euo pipefail
home=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
case ${CLUSTER:-laptop} in laptop) extras=eval ;; *) extras= ;; esac
"$home/tools/setup.sh" "$extras"
exec "$home/.venv/bin/python" -P -m harness eval "$@"
