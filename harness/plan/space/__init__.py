"""What a search runs through: mappings, and the ways to run each."""
