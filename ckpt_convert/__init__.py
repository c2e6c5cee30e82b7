"""Checkpoints between Hugging Face and Megatron, streamed: no torch, no Megatron, bounded memory."""
