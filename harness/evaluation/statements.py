"""What an evaluation states of itself in its run's log: which checkpoint it measures, and what one came to."""

EVALUATING, EVALUATED = "moe-harness: evaluating ", "moe-harness: evaluated "
"""Each begins a line that goes on with a JSON object."""
