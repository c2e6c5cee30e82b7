"""What a run's log states."""
