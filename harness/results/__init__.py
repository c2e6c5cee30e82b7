"""Read a run's log, sum it up, keep its record, find it again."""
