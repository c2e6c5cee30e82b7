"""What all formats of checkpoints are read with: files that threads share, JSON, rows of tensors."""
