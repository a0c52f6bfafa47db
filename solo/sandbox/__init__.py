"""Untrusted bytes are decoded in processes of their own, which nobody misses when they die."""
