"""The checkpoint that a run starts from: what is known of it before the launch."""
