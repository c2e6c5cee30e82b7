"""Hugging Face checkpoint folders: safetensors shards, their index and config.json."""
