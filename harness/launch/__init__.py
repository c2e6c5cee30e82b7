"""Jobs: a resolved configuration becomes a job, its script and its folder, and runs here or under Slurm."""
