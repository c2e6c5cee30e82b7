"""What a checkpoint's folder says of itself: format, step, conversion record, saved arguments, flags of its network."""
