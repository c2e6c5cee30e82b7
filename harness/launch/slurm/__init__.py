"""Slurm: its programs, its queue, and submission."""
