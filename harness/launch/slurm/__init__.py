"""Slurm: its programs, its queue, and the way of a job into it."""
