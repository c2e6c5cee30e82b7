"""What an evaluation states of itself in its run's log."""

DATA = "moe-harness: evaluation data "
EVALUATING, EVALUATED = "moe-harness: evaluating ", "moe-harness: evaluated "
"""Each begins a line that goes on with a JSON object: what is read, which checkpoint is measured, its result."""
