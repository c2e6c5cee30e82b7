"""Published measurements, and the jobs that were measured."""
