"""What a search runs through: mappings, and the options to run each with."""
