#!/usr/bin/env bash
# Make .venv with Python 3.12 and moe-harness with the extras named, e.g. `tools/setup.sh engine`; nothing where that is done.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

extras=${1:-}
stamp=.venv/.installed-${extras:-base}
wanted=$(cat pyproject.toml constraints.txt | cksum)
if [ -x .venv/bin/moe-harness ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi

say() { printf '%s\n' "$*" >&2; }

is_312() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null; }

if [ -x .venv/bin/python ] && ! is_312 .venv/bin/python; then
  say "error: .venv is not of Python 3.12; remove it, then run this again"
  exit 2
fi
if [ ! -x .venv/bin/python ]; then
  say "[1/2] making .venv with Python 3.12"
  for python in python3.12 python3 ""; do
    is_312 "${python:-false}" && break
  done
  [ -n "$python" ] || { say "error: no Python 3.12 on PATH; install it (for example: pyenv install 3.12), then run this again"; exit 2; }
  "$python" -m venv .venv || { rm -rf .venv; say "error: $python cannot make .venv (see above)"; exit 2; }
fi

case $extras in
  "" | convert | plan) say "[2/2] installing moe-harness${extras:+[$extras]} (a few seconds)" ;;
  *) say "[2/2] installing moe-harness[$extras] (some 5 GB of packages, a minute or two)" ;;
esac
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".${extras:+[$extras]}"
printf '%s\n' "$wanted" >"$stamp"
