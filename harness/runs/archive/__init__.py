"""Runs as one file: packed for a colleague or a paper, and unpacked beside one's own."""
