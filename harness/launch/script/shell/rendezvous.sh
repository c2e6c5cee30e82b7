# ---- Where its ranks meet -----------------------------------------------------------------------------------------
# takes: hosts restart

address_of() { # NODE: its name, or where that is in no DNS the address by which Slurm reaches it
  local address=
  getent ahosts "$1" >/dev/null ||
    address=$(scontrol --oneliner show node "$1" | sed -nE 's/.* NodeAddr=([^ ]+).*/\1/p')
  echo "${address:-$1}"
}

MASTER_ADDR=$(address_of "${hosts[0]}")
export MASTER_ADDR
# Another port for each start: ranks left over from a lost one may still listen on theirs.
export MASTER_PORT=$((10000 + (SLURM_JOB_ID + 1009 * restart) % 20000))
