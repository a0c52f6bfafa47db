"""What soft masks say of their outlines: how uncertain they are, which pieces are islands."""
