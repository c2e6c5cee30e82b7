# ---- Back into the queue ------------------------------------------------------------------------------------------
# takes: hosts
job_field() { # NAME
  scontrol --oneliner show job "$SLURM_JOB_ID" | sed -nE "s/.* $1=([^ ]+).*/\1/p"
}

chosen_nodes() { # whether the job may run on certain nodes only: one less may be one too few
  local field
  for field in Reservation ReqNodeList Features; do
    case $(job_field "$field") in "" | "(null)") ;; *) return 0 ;; esac
  done
  return 1
}

spare_nodes() { # AVOIDED: how many of the partition's nodes are in service, less what the job avoids and has
  sinfo --noheader --Node --partition="$SLURM_JOB_PARTITION" --format='%N %t' |
    sed -nE 's/^([^ ]+) (idle|alloc|mix|comp|plnd)[-~#]?$/\1/p' | # no sign but of one that sleeps, or is planned for
    sort -u | grep -vcxF -f <(printf '%s\n' "${hosts[@]}" && { [ -z "$1" ] || scontrol show hostnames "$1"; }) || true
}

may_exclude() { # NODE: whether the job can start without it; says why not
  local avoided
  avoided=$(job_field ExcNodeList)
  if chosen_nodes; then
    echo "moe-harness: the job may run on certain nodes only, so $1 is not excluded"
  elif (($(spare_nodes "${avoided#"(null)"}") == 0)); then
    echo "moe-harness: the partition has no other node in service, so $1 is not excluded"
  else
    return 0
  fi
  return 1
}

exclude() { # NODE: beside those that are, which Slurm does only once the job waits again
  local avoided
  avoided=$(job_field ExcNodeList)
  avoided=${avoided#"(null)"}
  if scontrol update JobId="$SLURM_JOB_ID" ExcNodeList="${avoided:+$avoided,}$1"; then
    note "excluded=$1"
  fi
}

try_again() { # WHY [NODE]: whether the job waits again
  [ "$(job_field JobState)" = RUNNING ] || return 1 # cancelled meanwhile, and a requeue would revive it
  echo "moe-harness: $1 may pass: another attempt${2:+, without $2}"
  trap '' USR1 TERM # it sends them
  scontrol requeue "$SLURM_JOB_ID" || return 1
  note "retry=$1"
  if [ -n "${2-}" ] && may_exclude "$2"; then exclude "$2"; fi
}
