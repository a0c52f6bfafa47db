"""What a model's out-of-distribution output flags: people it has not seen, strange films."""
