#!/usr/bin/env bash
# What the one-shot scripts share: convert.sh "MODEL MODEL…" [options of `moe-harness convert run`]
set -euo pipefail
home=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
models=$1
shift
stop() { printf 'error: %s\n' "$*" >&2; exit 2; }
[[ -n ${MODEL:-} && " $models " == *" $MODEL "* ]] || stop "MODEL=${MODEL:-}: this script converts one of: ${models// /, }"
for name in SOURCE_CKPT_PATH TARGET_CKPT_PATH; do
  [ -n "${!name:-}" ] || stop "$name is not set; set $name=FOLDER"
done
for name in TP PP EP; do
  [ -z "${!name:-}" ] || printf 'notice: %s=%s does not matter: torch_dist loads under any mapping\n' "$name" "${!name}" >&2
done
unset TP PP EP MEGATRON_PATH
"$home/tools/setup.sh" convert
exec "$home/.venv/bin/moe-harness" convert run "$SOURCE_CKPT_PATH" "$TARGET_CKPT_PATH" "$@"
