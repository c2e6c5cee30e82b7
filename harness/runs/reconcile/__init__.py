"""The status of a run derived anew from its own facts, its log, and Slurm's queue and accounting."""
