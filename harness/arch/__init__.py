"""What the resolved Megatron flags say the network is, and how many parameters it has."""
