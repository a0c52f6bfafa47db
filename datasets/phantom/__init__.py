"""Radiographs made in code, with the exact mask of everything in them. None of them is real."""
