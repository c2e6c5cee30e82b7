#!/usr/bin/env bash
# Install the browser that the tests of pages start: Debian's chromium; nothing where it is: `tools/chromium.sh install`.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

install() {
  local as_root=(env)
  [ "$(id -u)" = 0 ] || as_root=(sudo -n env)
  command -v apt-get >/dev/null || { say "error: no apt-get here; install Chromium by other means"; return 2; }
  "${as_root[@]}" true 2>/dev/null ||
    { say "error: only root may install; run as root: apt-get install --no-install-recommends chromium"; return 2; }
  local apt=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet)
  say "installing chromium (some 30 s)"
  # The lists of a fresh image are empty, and old ones name versions that are gone.
  "${apt[@]}" install --yes --no-install-recommends chromium fonts-dejavu-core >/dev/null 2>&1 && return
  "${apt[@]}" update >&2
  "${apt[@]}" install --yes --no-install-recommends chromium fonts-dejavu-core >&2
}

[ "${1:-}" = install ] || { say "usage: tools/chromium.sh install"; exit 2; }
# Tests of several processes ask at once.
exec 9<"${BASH_SOURCE[0]}"
flock 9
command -v chromium >/dev/null || install
