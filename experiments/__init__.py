"""Questions that the papers leave open, each answered by one command that prints its table."""
