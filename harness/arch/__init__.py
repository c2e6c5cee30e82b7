"""The network that the resolved Megatron flags describe, and its parameters."""
