"""How a router spreads tokens over experts: balance, and what is beyond the noise of uniform random routing."""
