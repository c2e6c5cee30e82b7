"""Parse a training run's log."""
