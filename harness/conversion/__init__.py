"""The conversion kind of run: the job that converts a checkpoint on a cluster's node, and what its log says."""
