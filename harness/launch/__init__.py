"""From a resolved configuration to a job: its script, its folder, and its run here or under Slurm."""
