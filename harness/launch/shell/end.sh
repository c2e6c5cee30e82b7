# ---- How it ended -------------------------------------------------------------------------------------------------
[ "$(holder)" = "$me" ] || refuse "attempt $number no longer holds this run, and leaves it alone"

# srun ends with 0 though tasks were never launched, and else with the largest code: the ranks' own decide, and of
# those that failed the first one's.
exits() {
  cat "$attempt"/ranks/*.exit 2>/dev/null || true
}
well=$(exits | grep -c '^0 ' || true)
if ((well < ranks)); then
  echo "moe-harness: $((ranks - well)) of $ranks ranks did not end well" >&2
  first=$(exits | sort -g -k 2 | sed '/^0 /d;q')
  [ -z "$first" ] || code=${first%% *}
  ((code != 0)) || code=1
elif [ "$stopped" = USR1 ]; then
  code=124 # saved and ended as asked ahead of the time limit: the training is not over
elif [ -n "$stopped" ] || [ -e "$attempt/stopped" ]; then
  code=143
elif ((code == 0)); then
  touch -- "$RUN_DIR/finished"
fi
