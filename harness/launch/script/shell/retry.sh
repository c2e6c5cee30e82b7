# ---- Another attempt, where what happened may pass ----------------------------------------------------------------
# takes: code hosts log_start permanent ranks_per_node restart retries stopped transient
said() { # PATTERN: the lines of this attempt that hold it
  tail -c "+$((log_start + 1))" "$RUN_DIR/log" | LC_ALL=C grep -aE -e "$1" || true
}

job_field() { # NAME
  scontrol --oneliner show job "$SLURM_JOB_ID" | sed -nE "s/.* $1=([^ ]+).*/\1/p"
}

nodes_of() { # lines as `RANK: text` → the nodes of these ranks
  local rank
  sed -nE 's/^ *0*([0-9]+): .*/\1/p' | sort -nu | while read -r rank; do
    echo "${hosts[rank / ranks_per_node]}"
  done | sort -u
}

bad_node() { # SIGNATURE LINES: the one node that the lines tell of; nothing if they tell of several
  local nodes
  nodes=$(nodes_of <<<"$2")
  # In a timeout the ranks that complain wait for the one that says nothing.
  [[ $1 != *timeout* ]] || nodes=$(printf '%s\n' "${hosts[@]}" | grep -vxF -e "${nodes:-none}" || true)
  [[ $nodes == *$'\n'* ]] || echo "$nodes"
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

exclude() { # NODE
  local avoided
  if chosen_nodes; then
    echo "moe-harness: the job may run on certain nodes only, so $1 is not excluded"
    return
  fi
  avoided=$(job_field ExcNodeList) # stays excluded
  [ "$avoided" != "(null)" ] || avoided=
  if (($(spare_nodes "$avoided") == 0)); then
    echo "moe-harness: the partition has no other node in service, so $1 is not excluded"
  # Slurm takes an exclusion only once the job waits again.
  elif scontrol update JobId="$SLURM_JOB_ID" ExcNodeList="${avoided:+$avoided,}$1"; then
    note "excluded=$1"
  fi
}

try_again() { # WHY [NODE]
  [ "$(job_field JobState)" = RUNNING ] || return 0 # cancelled meanwhile, and a requeue would revive it
  echo "moe-harness: $1 may pass: another attempt${2:+, without $2}"
  scontrol requeue "$SLURM_JOB_ID" || return 0
  note "retry=$1"
  if [ -n "${2-}" ]; then exclude "$2"; fi
}

consider_another() {
  local i lines
  [ "$(job_field Restarts)" = "$restart" ] || return 0 # a node failed, and Slurm has requeued the job already
  if [[ $(job_field PreemptTime) == [0-9]* ]]; then
    try_again preemption # it left before Slurm took its nodes, so Slurm does not requeue it
  elif [ -z "$stopped" ] && [ -z "$(said "$permanent")" ]; then
    for ((i = 0; i < ${#transient[@]}; i += 2)); do
      lines=$(said "${transient[i + 1]}")
      [ -n "$lines" ] || continue
      try_again "${transient[i]}" "$(bad_node "${transient[i]}" "$lines")"
      return
    done
  fi
}

if ((code != 0 && restart < retries)); then consider_another; fi
