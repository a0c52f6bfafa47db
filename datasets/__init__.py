"""Data sets: phantoms made in code, and the doctor, a check of a data set before training."""
