"""What a training step costs: floating-point operations, and what the hardware gives."""
