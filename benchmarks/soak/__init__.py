"""A night in ten minutes: mixed load, killed decoders, a stop at the end, and nothing lost."""
