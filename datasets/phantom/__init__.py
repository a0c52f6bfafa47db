"""Phantoms: radiographs made in code, with the exact mask of everything. None is real."""
