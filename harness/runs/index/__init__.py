"""An index of all runs: what their records say as rows, so that ten thousand are listed in a second.

The records stay the truth. The index is a cache: whatever is wrong with it, the records are read again.
"""
