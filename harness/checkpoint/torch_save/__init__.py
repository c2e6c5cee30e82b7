"""Files of torch.save and of torch.distributed.checkpoint, read as data: neither torch nor numpy, no code is run."""
