"""moe-harness: from a Mixture-of-Experts checkpoint to a number you can publish."""
