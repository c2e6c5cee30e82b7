"""Follow runs until they have ended."""
