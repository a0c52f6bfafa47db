"""Data set report before training: what will go wrong with a data set and a preset."""
