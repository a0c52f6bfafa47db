"""Other forms of an answer: polygons, plain run lengths, and pictures."""
