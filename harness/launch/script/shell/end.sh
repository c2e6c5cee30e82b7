# ---- How it ended -------------------------------------------------------------------------------------------------
# takes: attempt code last_step me number ranks stopped
[ "$(holder)" = "$me" ] || refuse "attempt $number no longer holds this run, and leaves it alone"

# srun ends with 0 though tasks were never launched, and else with the largest code: the ranks' own decide, and of
# those that failed the first one's.
exits() {
  cat "$attempt"/ranks/*.exit 2>/dev/null || true
}
well=$(exits | grep -c '^0 ' || true)
if ((well < ranks)); then
  echo "moe-harness: $((ranks - well)) of $ranks ranks did not end well" >&2
  # Each of these reads all: one that ended earlier would end this script by the other's SIGPIPE.
  failed=$(exits | grep -v '^0 ' | LC_ALL=C sort -g -k 2 || true)
  [ -z "$failed" ] || code=${failed%%[[:space:]]*}
  ((code != 0)) || code=1
elif [ -n "$stopped" ] || [ -e "$attempt/stopped" ]; then
  # All ranks ended as asked. Is there more to train?
  saved=$(newest_checkpoint)
  [ -z "$saved" ] || note "saved=$saved"
  code=0
  if [ -z "$last_step" ] || [ "$saved" != "$last_step" ]; then
    code=143
    [ "$stopped" != USR1 ] || code=124
  fi
fi
if ((code == 0)); then
  touch -- "$RUN_DIR/finished" || echo "moe-harness: cannot write $RUN_DIR/finished" >&2
fi
