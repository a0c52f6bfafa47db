"""What a request meets first: observed, let in, read, and told what was wrong."""
