"""Soak test: ten minutes of mixed load, killed decoders, a stop at the end, and nothing lost."""
