"""Output files: where every byte goes, and the threads that put it there."""
