"""Parallel mappings: what the flags ask for, and whether Megatron can run it."""
