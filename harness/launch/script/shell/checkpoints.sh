# ---- The run's own checkpoints -------------------------------------------------------------------------------------
# Whole are those of torch_dist that have metadata.json, which Megatron writes last, and of other formats, which have
# none, the one that Megatron's tracker names.
checkpoints=$RUN_DIR/checkpoints
tracker=$checkpoints/latest_checkpointed_iteration.txt

newest_checkpoint() { # its step; nothing if none is whole
  local folder step=-1
  for folder in "$checkpoints"/iter_*; do
    if [[ $folder =~ /iter_0*([0-9]+)$ ]] && [ -s "$folder/.metadata" ] && [ -s "$folder/metadata.json" ]; then
      step=$((BASH_REMATCH[1] > step ? BASH_REMATCH[1] : step))
    fi
  done
  if ((step < 0)); then
    read -r step 2>/dev/null <"$tracker" || true
    [[ $step =~ ^[0-9]+$ ]] && [ -d "$checkpoints/iter_$(printf %07d "$step")" ] || return 0
  fi
  echo "$step"
}
