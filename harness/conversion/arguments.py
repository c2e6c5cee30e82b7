"""What the program of a conversion's job is told beside the user's own options."""

IN_JOB = "--in-job"
"""Makes `convert run` state what its run's record is read from, and keep no record of its own."""
