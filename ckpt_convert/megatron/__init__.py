"""Megatron checkpoint folders: torch_dist and legacy ones, read without torch."""
