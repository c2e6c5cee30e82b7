"""The evaluation kind of run: what is measured of a checkpoint, on which tokens, and what the numbers come to."""
