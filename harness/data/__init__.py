"""Text made into the token files that Megatron trains on."""
