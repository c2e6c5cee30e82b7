"""The training kind of run: what its log states, the summary, what was asked beside what was in effect."""
