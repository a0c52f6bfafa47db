"""Data sets: phantoms made in code, and the doctor who says what will go wrong with one."""
