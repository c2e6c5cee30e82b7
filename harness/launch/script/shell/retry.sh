# ---- Another attempt, where what happened may pass ----------------------------------------------------------------
# takes: attempt code hosts log_start permanent ranks_per_node restart retries stopped transient weak
said() { # PATTERN: the lines of this attempt that hold it
  tail -c "+$((log_start + 1))" "$RUN_DIR/log" | LC_ALL=C grep -aE -e "$1" || true
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

ended_by_weak() { # whether a rank ended by what others go on from, with nothing after it that passes
  local LC_ALL=C i line rank code passing='' last=()
  for ((i = 1; i < ${#transient[@]}; i += 2)); do passing+=${passing:+|}${transient[i]}; done
  while IFS= read -r line; do
    [[ $line =~ ^\ *0*([0-9]+):\  ]] || continue
    rank=${BASH_REMATCH[1]}
    if [[ $line =~ $weak ]]; then last[rank]=weak; else last[rank]=; fi
  done < <(said "$weak|$passing")
  for rank in ${last[@]+"${!last[@]}"}; do
    code=$(cat "$attempt/ranks/$rank.exit" 2>/dev/null || echo 0)
    code=${code%% *}
    case ${last[rank]}:${code:-0} in
      weak:0 | weak:137 | weak:143) ;; # it went on, or was ended by others
      weak:*) return 0 ;;
    esac
  done
  return 1
}

consider_another() {
  local i lines
  [ "$(job_field Restarts)" = "$restart" ] || return 0 # a node failed, and Slurm has requeued the job already
  if [[ $(job_field PreemptTime) == [0-9]* ]]; then
    try_again preemption || true # it left before Slurm took its nodes, so Slurm does not requeue it
  elif [ -z "$stopped" ] && [ -z "$(said "$permanent")" ] && ! ended_by_weak; then
    for ((i = 0; i < ${#transient[@]}; i += 2)); do
      lines=$(said "${transient[i + 1]}")
      [ -n "$lines" ] || continue
      try_again "${transient[i]}" "$(bad_node "${transient[i]}" "$lines")" || true
      return
    done
  fi
}

if ((code != 0 && restart < retries)); then consider_another; fi
