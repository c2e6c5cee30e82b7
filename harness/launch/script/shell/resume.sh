# ---- Going on from the last one -------------------------------------------------------------------------------------
# takes: fresh program resumed tracker
saved=$(newest_checkpoint)
if [ -n "$saved" ]; then
  # Where Megatron ended between the two, its tracker is set right: not every release can be told the step.
  if [ "$(cat "$tracker" 2>/dev/null)" != "$saved" ]; then
    echo "$saved" >"$tracker.new" && mv -f -- "$tracker.new" "$tracker"
  fi
  note "resumed=$saved"
  program+=("${resumed[@]}")
else
  program+=(${fresh[@]+"${fresh[@]}"}) # bash before 4.4 takes an empty array for an unset one
fi
