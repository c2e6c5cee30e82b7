"""Many items of one kind of run, each run once, resumed and retried: a sweep's points."""
