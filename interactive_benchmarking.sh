#!/usr/bin/env bash
# Train on this node: MODEL=DeepSeek-V2-Lite bash interactive_benchmarking.sh [Megatron flags]
set -euo pipefail
home=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
case ${CLUSTER:-laptop} in laptop) extras=engine ;; *) extras= ;; esac
"$home/tools/setup.sh" "$extras"
exec "$home/.venv/bin/python" -P -m harness launch --on interactive -- "$@"
