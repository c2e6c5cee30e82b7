# ---- Going on from the run's own last checkpoint ----------------------------------------------------------------
# A checkpoint is whole once it has metadata.json, which Megatron writes last. Where Megatron's own tracker names
# another step (it ended between the two), it is set right: not every release can be told the step.
tracker=$RUN_DIR/checkpoints/latest_checkpointed_iteration.txt
saved=
for folder in "$RUN_DIR"/checkpoints/iter_*; do
  if [ -s "$folder/.metadata" ] && [ -s "$folder/metadata.json" ]; then saved=$((10#${folder##*iter_})); fi
done
if [ -n "$saved" ]; then
  if [ "$(cat "$tracker" 2>/dev/null)" != "$saved" ]; then
    echo "$saved" >"$tracker.new" && mv -f -- "$tracker.new" "$tracker"
  fi
  note "resumed=$saved"
  program+=("${resumed[@]}")
else
  program+=("${fresh[@]}")
fi
