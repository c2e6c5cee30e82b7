#!/usr/bin/env bash
# Install what the tests start as a Slurm of their own: Debian's slurm-wlm, munge, slurmdbd and mariadb-server; nothing
# where they are: `tools/slurm.sh install`.
set -euo pipefail

packages=(slurm-wlm munge slurmdbd mariadb-server)

say() { printf '%s\n' "$*" >&2; }

missing() {
  local program
  for program in sbatch slurmctld slurmd munged slurmdbd mariadbd; do
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || return 0
  done
  return 1
}

install() {
  local as_root=(env)
  [ "$(id -u)" = 0 ] || as_root=(sudo -n env)
  command -v apt-get >/dev/null ||
    { say "error: no apt-get here; install Slurm, slurmdbd, munge and MariaDB's server by other means"; return 2; }
  "${as_root[@]}" true 2>/dev/null ||
    { say "error: only root may install; run as root: apt-get install --no-install-recommends ${packages[*]}"; return 2; }
  local apt=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet)
  say "installing ${packages[*]} (some 10 s)"
  # The lists of a fresh image are empty, and old ones name versions that are gone.
  "${apt[@]}" install --yes --no-install-recommends "${packages[@]}" >/dev/null 2>&1 && return
  "${apt[@]}" update >&2
  "${apt[@]}" install --yes --no-install-recommends "${packages[@]}" >&2
}

[ "${1:-}" = install ] || { say "usage: tools/slurm.sh install"; exit 2; }
# Tests of several processes ask at once.
exec 9<"${BASH_SOURCE[0]}"
flock 9
if missing; then install; fi
