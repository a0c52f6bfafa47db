"""How good a network's answers are: measured, told, and shown."""
