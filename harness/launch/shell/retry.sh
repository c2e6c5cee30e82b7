# ---- Another attempt, where what happened may pass ----------------------------------------------------------------
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

spare_node() { # whether the job's partition has a node more than it needs, besides those it already avoids
  local avoided usable
  avoided=$(scontrol show hostnames "$1" 2>/dev/null | wc -l)
  usable=$(sinfo --noheader --Node --partition="$SLURM_JOB_PARTITION" --format=%N | sort -u | wc -l)
  ((usable - avoided > ${#hosts[@]}))
}

try_again() { # WHY [NODE]
  local avoided
  echo "moe-harness: $1 may pass: another attempt${2:+, without $2}"
  scontrol requeue "$SLURM_JOB_ID" || return 0
  note "retry=$1"
  [ -n "${2-}" ] || return 0
  # Slurm takes an exclusion only once the job waits again. What was excluded before stays so.
  avoided=$(job_field ExcNodeList)
  [ "$avoided" != "(null)" ] || avoided=
  if ! spare_node "$avoided"; then
    echo "moe-harness: the partition has no other node, so $2 is not excluded"
  elif scontrol update JobId="$SLURM_JOB_ID" ExcNodeList="${avoided:+$avoided,}$2"; then
    note "excluded=$2"
  fi
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
