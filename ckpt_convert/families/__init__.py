"""What each model family calls its tensors, and which Megatron flags its config.json means."""
