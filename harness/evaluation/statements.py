"""What an evaluation states of itself in its run's log."""

DATA = "moe-harness: evaluation data "
EVALUATING, EVALUATED = "moe-harness: evaluating ", "moe-harness: evaluated "
SATURATION = "moe-harness: router saturation "
"""Each begins a line that goes on with a JSON object: which tokens are read; which checkpoint is measured, and what one
came to; and of a series, how many of a token's experts are those that it has at the last checkpoint."""
