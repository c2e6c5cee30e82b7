"""Read, merge, interpolate and explain the layered configuration."""
