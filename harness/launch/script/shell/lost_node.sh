# ---- A node that was lost, and is given again ----------------------------------------------------------------------
# takes: hosts log_start number restart retries
# Nobody could exclude it: the attempt before was ended with the node.
lost_before() { # the node that the attempt before lost; nothing if it lost none
  local facts=$RUN_DIR/attempts/$((number - 1))/facts start node
  start=$(sed -n 's/^log_start=//p' "$facts")
  node=$(head -c "$log_start" "$RUN_DIR/log" | tail -c "+$((start + 1))" |
    sed -nE 's/^srun: error: Node failure on ([^ ,]+)$/\1/p' | tail -n 1)
  if [ -z "$node" ] && ! grep -qE '^(exit|signal)=' "$facts"; then
    node=$(sed -nE 's/^nodes=([^ ]+).*/\1/p' "$facts") # its first, on which the script itself ran
  fi
  echo "$node"
}

moved() { # how often the job went back for that alone, which is no retry
  cat "$RUN_DIR"/attempts/*/facts | grep -cxF "moved=$SLURM_JOB_ID" || true
}

retries=$((retries + $(moved)))
if ((number > 0 && restart > 0)); then
  lost=$(lost_before 2>/dev/null || true)
  if [[ -n $lost && " ${hosts[*]} " == *" $lost "* ]] && may_exclude "$lost"; then
    if try_again node-failure "$lost"; then
      note "moved=$SLURM_JOB_ID"
      exit 1
    fi
    end_at_signals
  fi
fi
