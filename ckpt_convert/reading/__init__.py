"""Shared by the readers of all checkpoint formats: files that threads share, JSON, rows of tensors."""
