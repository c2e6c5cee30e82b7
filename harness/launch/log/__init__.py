"""The log of a job: its lines, what it grows by, and what the harness itself states in it."""
